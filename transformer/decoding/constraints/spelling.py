"""Texts that a model's tokens can spell, whatever tokenizing such a text would make of it.

A tokenizer that knows no capitals reads "Hund", and so knows all of its characters, but no tokens
of it are written "Hund".
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cached_property
from weakref import WeakKeyDictionary

from tokenizer import Tokenizer
from tokenizer.token_bytes import is_local, token_bytes


class Spelling:
    """The texts that a model's tokens can spell."""

    def __init__(self, tokenizer: Tokenizer, size: int) -> None:
        """Read a tokenizer's first `size` tokens, each of which adds bytes of its own to a text."""
        known = token_bytes(tokenizer, size)
        self._trims_end = known.trims_end
        pairs = list(zip(known.initial, known.inner, strict=True))
        self._initial = {initial for initial, _ in pairs if initial}
        self._inner = {inner for _, inner in pairs if inner}
        self._drops_space = any(inner and not initial for initial, inner in pairs)
        tokens = self._initial | self._inner
        self._longest = max(map(len, tokens), default=0)
        self._joined = b"\xff".join(tokens)  # which no text has in UTF-8
        self._spells_bytes = all(bytes([byte]) in self._inner for byte in range(256))

    @cached_property
    def _starts(self) -> list[bytes]:
        return sorted(self._inner)

    @cached_property
    def _ends(self) -> list[bytes]:
        """Each token from its last byte to its first."""
        return sorted(text[::-1] for text in self._initial | self._inner)

    def writes(self, text: str, *, continuing: bool = False) -> bool:
        """Return True for a text that tokens can spell as a whole.

        With `continuing` it follows another text.
        """
        whole = text.encode()
        if self._trims_end and whole.endswith(b" "):
            return False
        first = self._inner if continuing else self._initial
        starts = [end for end in range(1, len(whole) + 1) if whole[:end] in first]
        return len(whole) in self._reached(
            whole, [0, *starts] if continuing or self._drops_space else starts
        )

    def holds(self, text: str) -> bool:
        """Return True for a text that may come up in one that tokens spell."""
        part = text.encode()
        if self._spells_bytes or (len(part) <= self._longest and part in self._joined):
            return True
        begun = [end for end in range(1, len(part)) if _begins(self._ends, part[:end][::-1])]
        return any(
            end == len(part) or _begins(self._starts, part[end:])
            for end in self._reached(part, [0, *begun])
        )

    def unwritable(self, text: str) -> str:
        """Return the characters of a text that no token is or holds, each once."""
        return "".join(c for c in dict.fromkeys(text) if not self.holds(c))

    def _reached(self, text: bytes, starts: Sequence[int]) -> set[int]:
        """Return how far tokens can spell a text from these positions on, which are among them."""
        reached = set(starts)
        for position in range(len(text)):
            if position in reached:
                reached.update(self._next(text, position))
        return reached

    def _next(self, text: bytes, position: int) -> Iterator[int]:
        for end in range(position + 1, min(len(text), position + self._longest) + 1):
            if text[position:end] in self._inner:
                yield end


def _begins(ordered: Sequence[bytes], part: bytes) -> bool:
    """Return True if one of the texts, which are in order, begins with this part."""
    index = bisect_left(ordered, part)
    return index < len(ordered) and ordered[index].startswith(part)


_known: "WeakKeyDictionary[Tokenizer, dict[int, Spelling]]" = WeakKeyDictionary()


def spelling_of(tokenizer: Tokenizer, size: int) -> Spelling | None:
    """Return what a tokenizer's tokens can spell; None where their texts depend on one another."""
    if not is_local(tokenizer):
        return None
    by_size = _known.setdefault(tokenizer, {})
    if size not in by_size:
        by_size[size] = Spelling(tokenizer, size)
    return by_size[size]
