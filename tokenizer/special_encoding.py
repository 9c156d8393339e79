"""Special tokens spelled out in a text: which are meant, and which are ordinary text."""

from collections.abc import Collection

import tokenizers
from tokenizers import AddedToken

_FIRST, _LAST = 0xF0000, 0xFFFFD  # a private area of Unicode's


class SpecialTokenEncoder:
    """Recognises special tokens in a text, at some places and not at others.

    Published tokenizers treat the beginning of a text unlike what follows, so the parts between
    special tokens cannot be encoded on their own. What is meant is put into the text as a character
    that stands for it, and that the tokenizer knows as a token.
    """

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        self._all = _copy(backend)
        self._all.encode_special_tokens = False
        added = self._all.get_added_tokens_decoder().items()
        self._special = {token_id: token.content for token_id, token in added if token.special}
        self._first = _FIRST  # of the characters that stand for special tokens
        self._some: tokenizers.Tokenizer | None = None

    def encode(self, text: str, ordinary: Collection[int]) -> list[int]:
        """Text to ids; special tokens that begin at places in `ordinary` are ordinary text."""
        found = self._all.encode(text, add_special_tokens=False)
        spelled = [
            (start, end, token_id)
            for token_id, (start, end) in zip(found.ids, found.offsets, strict=True)
            if self._is_spelled(token_id, text[start:end])
        ]
        meant = [each for each in spelled if not any(i in ordinary for i in range(*each[:2]))]
        if len(meant) == len(spelled):
            return found.ids
        self._avoid(text)
        return self._encode_some(text, meant)

    def _is_spelled(self, token_id: int, text: str) -> bool:
        """Not so where the unknown token is what some text becomes."""
        name = self._special.get(token_id)
        return name is not None and name.strip().casefold() == text.strip().casefold()

    def _encode_some(self, text: str, meant: list[tuple[int, int, int]]) -> list[int]:
        """Ids of a text in which only some special tokens are meant: start, end and id of each."""
        stands = {token_id: chr(self._first + n) for n, token_id in enumerate(self._special)}
        if self._some is None:
            self._some = _copy(self._all)
            self._some.encode_special_tokens = True
            self._some.add_tokens([AddedToken(each, normalized=False) for each in stands.values()])
        parts, last = [], 0
        for start, end, token_id in meant:
            parts += [text[last:start], stands[token_id]]
            last = end
        found = self._some.encode("".join([*parts, text[last:]]), add_special_tokens=False)
        ids = {self._some.token_to_id(stand): token_id for token_id, stand in stands.items()}
        return [ids.get(token_id, token_id) for token_id in found.ids]

    def _avoid(self, text: str) -> None:
        """Let no character of a text stand for a special token."""
        count = len(self._special)
        private = {ord(each) for each in text if _FIRST <= ord(each) <= _LAST}
        for first in range(self._first, _LAST - count, count):
            if not any(first <= each < first + count for each in private):
                break
        else:
            raise ValueError("it has too many characters of Unicode's private area")
        if first != self._first:
            self._first, self._some = first, None


def _copy(backend: tokenizers.Tokenizer) -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_str(backend.to_str())
