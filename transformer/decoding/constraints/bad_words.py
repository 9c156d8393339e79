"""Words that must not be written, whatever tokens spell them.

A word is looked for in the text, as bytes. It counts where no letter, digit or mark stands beside
it, so that a longer word may hold it; in scripts without spaces, and beside anything else, it
counts everywhere. What follows a word is not known when its last token is chosen, so no token may
end with it either.
"""

import unicodedata
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from tokenizer import Tokenizer
from tokenizer.scripts import is_unspaced
from tokenizer.token_bytes import is_local, token_bytes

from ...errors import ConfigError
from ..request import SequenceState

_MAX_CHARACTER = 4  # bytes
_MAX_CACHE = 4096  # endings of texts whose forbidden tokens are kept


class _Token(NamedTuple):
    """The bytes that a token adds to a text, and its id."""

    text: bytes
    id: int


class BadWords:
    """Words that must not come up in a text: a function from a row to the tokens it may not take.

    The tokens that would complete a word depend on the end of the text alone, and are kept by it.
    """

    def __init__(self, words: Sequence[str], tokenizer: Tokenizer, vocab_size: int) -> None:
        """Prepare words. Raises ConfigError for an empty one."""
        for word in words:
            if not word.strip():
                raise ConfigError(f"--bad-word {word!r} is not a word")
        forms = (form for word in words for form in word_forms(word.strip(), tokenizer))
        encoded = [form.encode() for form in dict.fromkeys(forms)]
        self._longest = max(map(len, encoded))
        self._by_beginning: dict[bytes, list[bytes]] = defaultdict(list)
        for word_bytes in encoded:
            for end in range(1, len(word_bytes)):
                self._by_beginning[word_bytes[:end]].append(word_bytes)
        known = token_bytes(tokenizer, vocab_size)
        self._inner = known.inner
        self._sorted = {
            is_first: sorted(_Token(text, i) for i, text in enumerate(texts) if text)
            for is_first, texts in ((True, known.initial), (False, known.inner))
        }
        self._holders = {
            is_first: _holders(tokens, encoded) for is_first, tokens in self._sorted.items()
        }
        # Engines of several threads share these; two may compute the same one at once.
        self._completing = lru_cache(_MAX_CACHE)(self._find_completing)
        self._beginning_with = lru_cache(_MAX_CACHE)(self._find_beginning_with)
        self._holding = lru_cache(_MAX_CACHE)(self._find_holding)

    @staticmethod
    def supports(tokenizer: Tokenizer) -> bool:
        """Return True for a tokenizer whose tokens each add bytes of their own to a text."""
        return is_local(tokenizer)

    def __call__(self, row: SequenceState) -> list[int]:
        """Return the tokens that would complete a word."""
        return self._completing(*self._tail(row))

    def _tail(self, row: SequenceState) -> tuple[bytes, bool]:
        """Return the end of a row's text, and whether nothing is written yet."""
        prompt = () if row.request.source else row.request.prompt  # else it is a start token
        tail, needed = b"", self._longest + _MAX_CHARACTER
        before = [*prompt, *row.text_ids] if not row.request.previous_context else row.all_ids()
        for token in reversed(before):
            piece = self._inner[token] if token < len(self._inner) else None
            tail = (piece or b"") + tail
            if len(tail) >= needed:
                return tail[-needed:], False
        return tail.lstrip(b" "), not tail

    def _find_completing(self, tail: bytes, is_first: bool) -> list[int]:
        """Return the tokens with which a text that ends with `tail` would have a word."""
        forbidden = set(self._holding(tail[-_MAX_CHARACTER:], is_first))
        for start in range(max(0, len(tail) - self._longest + 1), len(tail)):
            for word in self._by_beginning.get(tail[start:], ()):  # the word begins in the text
                if _is_free(tail[:start], word, before=True):
                    forbidden |= self._beginning_with(word[len(tail) - start :], word, is_first)
        return sorted(forbidden)

    def _find_beginning_with(self, rest: bytes, word: bytes, is_first: bool) -> set[int]:
        """Return the tokens that begin with the rest of a word, which ends there."""
        tokens, matching = self._sorted[is_first], set[int]()
        for index in range(bisect_left(tokens, _Token(rest, -1)), len(tokens)):
            token = tokens[index]
            if not token.text.startswith(rest):
                break
            if _is_free(token.text[len(rest) :], word, before=False):
                matching.add(token.id)
        return matching

    def _find_holding(self, before: bytes, is_first: bool) -> set[int]:
        """Return the tokens that hold a whole word, after a text that ends so."""
        holders = self._holders[is_first]
        return holders.always | {
            token
            for start, word, token in holders.by_text_before
            if _is_free(before + start, word, before=True)
        }


class _Holders(NamedTuple):
    """The tokens that hold a whole word."""

    always: set[int]
    by_text_before: list[tuple[bytes, bytes, int]]  # what precedes the word in the token; word; id


def _holders(tokens: Sequence[_Token], words: Sequence[bytes]) -> _Holders:
    """Find the tokens that hold one of the words, whole so far as the tokens themselves tell."""
    holders = _Holders(set(), [])
    known, lengths = set(words), sorted({len(word) for word in words})
    for text, token in tokens:
        for length in lengths[: bisect_right(lengths, len(text))]:
            for start in range(len(text) - length + 1):
                word = text[start : start + length]
                if word not in known or not _is_free(text[start + length :], word, before=False):
                    continue
                if all(byte & 0xC0 == 0x80 for byte in text[:start]):  # no character's first byte
                    holders.by_text_before.append((text[:start], word, token))
                elif _is_free(text[:start], word, before=True):
                    holders.always.add(token)
    return holders


def word_forms(word: str, tokenizer: Tokenizer) -> list[str]:
    """Return a word as texts may have it: also as the tokenizer gives it back, say with spaces."""
    ids = tokenizer.encode(word)
    restored = "" if tokenizer.unknown_id in ids else tokenizer.decode(ids).strip()
    normal = [unicodedata.normalize(form, word) for form in ("NFC", "NFD")]
    return [word, *normal, *([restored] if restored else [])]


def _is_free(beside: bytes, word: bytes, *, before: bool) -> bool:
    """Return True if what stands beside a word, before it or after it, is not part of it."""
    text = beside[-_MAX_CHARACTER:] if before else beside[:_MAX_CHARACTER]
    characters = text.decode(errors="replace")
    if not characters:
        return True
    own = word.decode()
    pair = (characters[-1], own[0]) if before else (own[-1], characters[0])
    return not all(map(_joins, pair))


def _joins(character: str) -> bool:
    """Return True for a character that is one word with such characters beside it."""
    is_mark = unicodedata.category(character)[0] == "M"
    if not (character.isalnum() or is_mark or character == "_"):
        return False
    return is_mark or not is_unspaced(character)
