"""Words that must not be written, whatever tokens spell them.

A word is looked for in the text, as bytes. It counts where no letter, digit or mark stands beside
it, so that a longer word may hold it; in scripts without spaces, and beside anything else, it
counts everywhere. What follows a word is not known when its last token is chosen, so no token may
end with it either.
"""

import unicodedata
from bisect import bisect_left
from collections.abc import Sequence
from threading import Lock
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
        forms = (form for word in words for form in _forms(word.strip(), tokenizer))
        self._words = [form.encode() for form in dict.fromkeys(forms)]
        self._longest = max(map(len, self._words))
        known = token_bytes(tokenizer, vocab_size)
        self._initial, self._inner = known.initial, known.inner
        self._sorted = {
            first: sorted(_Token(text, i) for i, text in enumerate(texts) if text)
            for first, texts in ((True, known.initial), (False, known.inner))
        }
        self._holders = {
            (first, word): [token for token in tokens if word in token.text]
            for first, tokens in self._sorted.items()
            for word in self._words
        }
        self._cache: dict[tuple[bytes, bool], list[int]] = {}
        self._lock = Lock()  # engines of several threads share it

    @staticmethod
    def supports(tokenizer: Tokenizer) -> bool:
        """Return True for a tokenizer whose tokens each add bytes of their own to a text."""
        return is_local(tokenizer)

    def __call__(self, row: SequenceState) -> list[int]:
        """Return the tokens that would complete a word."""
        tail, is_first = self._tail(row)
        key = tail, is_first
        with self._lock:
            forbidden = self._cache.get(key)
            if forbidden is None:
                if len(self._cache) >= _MAX_CACHE:
                    self._cache.clear()
                forbidden = self._cache[key] = sorted(self._completing(tail, is_first))
        return forbidden

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

    def _completing(self, tail: bytes, is_first: bool) -> set[int]:
        """Return the tokens with which a text that ends with `tail` would have a word."""
        tokens, forbidden = self._sorted[is_first], set[int]()
        for word in self._words:
            starts = range(max(0, len(tail) - len(word) + 1), len(tail))
            for start in starts:  # the word begins in the text
                written = tail[start:]
                if word.startswith(written) and _is_free(tail[:start], word, before=True):
                    forbidden |= _beginning_with(tokens, word[len(written) :], word)
            holders = self._holders[is_first, word]
            forbidden |= {token.id for token in holders if _holds(tail, token, word)}
        return forbidden


def _forms(word: str, tokenizer: Tokenizer) -> list[str]:
    """Return a word as texts may have it: also as the tokenizer gives it back, say with spaces."""
    ids = tokenizer.encode(word)
    restored = "" if tokenizer.unknown_id in ids else tokenizer.decode(ids).strip()
    normal = [unicodedata.normalize(form, word) for form in ("NFC", "NFD")]
    return [word, *normal, *([restored] if restored else [])]


def _beginning_with(tokens: Sequence[_Token], rest: bytes, word: bytes) -> set[int]:
    """Return the tokens that begin with the rest of a word, which ends there."""
    found = set()
    for token in tokens[bisect_left(tokens, _Token(rest, -1)) :]:
        if not token.text.startswith(rest):
            break
        if _is_free(token.text[len(rest) :], word, before=False):
            found.add(token.id)
    return found


def _holds(tail: bytes, token: _Token, word: bytes) -> bool:
    """Return True if a token holds a whole word, after such a text."""
    start = token.text.find(word)
    while start >= 0:
        end = start + len(word)
        before, after = tail + token.text[:start], token.text[end:]
        if _is_free(before, word, before=True) and _is_free(after, word, before=False):
            return True
        start = token.text.find(word, start + 1)
    return False


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
