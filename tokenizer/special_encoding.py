"""An encoder that recognizes special tokens spelled out in some parts of a text only."""

from collections.abc import Collection

import tokenizers
from tokenizers import AddedToken

_FIRST, _LAST = 0xF0000, 0xFFFFD  # a private use area of Unicode


class SpecialTokenEncoder:
    """Encoder that recognizes special tokens at some indices of a text and not at others.

    Published tokenizers treat the beginning of a text unlike the rest, so the parts between
    special tokens cannot be encoded separately. Instead, each token to be recognized is replaced by
    a private character that stands in for it and that the tokenizer knows as an added token.
    """

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        self._recognizing = _copy(backend)
        self._recognizing.encode_special_tokens = False
        added = self._recognizing.get_added_tokens_decoder().items()
        self._special = {token_id: token.content for token_id, token in added if token.special}
        self._first_stand_in = _FIRST  # stand-in character; the others follow it
        self._selective: tokenizers.Tokenizer | None = None

    def encode(self, text: str, ordinary_indices: Collection[int]) -> list[int]:
        """Encode a text; special tokens at `ordinary_indices`, of characters, are ordinary text."""
        encoding = self._recognizing.encode(text, add_special_tokens=False)
        occurrences = [
            (start, end, token_id)
            for token_id, (start, end) in zip(encoding.ids, encoding.offsets, strict=True)
            if self._is_literal(token_id, text[start:end])
        ]
        recognized = [
            token
            for token in occurrences
            if not any(i in ordinary_indices for i in range(*token[:2]))
        ]
        if len(recognized) == len(occurrences):
            return encoding.ids
        self._choose_stand_ins(text)
        return self._encode_selected(text, recognized)

    def _is_literal(self, token_id: int, text: str) -> bool:
        """Return True if text spells a special token, and was not mapped to the unknown token."""
        name = self._special.get(token_id)
        return name is not None and name.strip().casefold() == text.strip().casefold()

    def _encode_selected(self, text: str, recognized: list[tuple[int, int, int]]) -> list[int]:
        """Encode a text in which only these tokens (start, end, id) are recognized."""
        stand_ins = {
            token_id: chr(self._first_stand_in + n) for n, token_id in enumerate(self._special)
        }
        if self._selective is None:
            self._selective = _copy(self._recognizing)
            self._selective.encode_special_tokens = True
            self._selective.add_tokens(
                [AddedToken(character, normalized=False) for character in stand_ins.values()]
            )
        parts, copied = [], 0
        for start, end, token_id in recognized:
            parts += [text[copied:start], stand_ins[token_id]]
            copied = end
        encoding = self._selective.encode(
            "".join([*parts, text[copied:]]), add_special_tokens=False
        )
        ids = {
            self._selective.token_to_id(character): token_id
            for token_id, character in stand_ins.items()
        }
        return [ids.get(token_id, token_id) for token_id in encoding.ids]

    def _choose_stand_ins(self, text: str) -> None:
        """Choose stand-ins that do not occur in a text."""
        count = len(self._special)
        private = {ord(c) for c in text if _FIRST <= ord(c) <= _LAST}
        for first in range(self._first_stand_in, _LAST - count, count):
            if not any(first <= code < first + count for code in private):
                break
        else:
            raise ValueError("it has too many characters of Unicode's private use area")
        if first != self._first_stand_in:
            self._first_stand_in, self._selective = first, None


def _copy(backend: tokenizers.Tokenizer) -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_str(backend.to_str())
