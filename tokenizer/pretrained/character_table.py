"""SentencePiece's precompiled table of characters: its validation, and its entries.

It is a double array (darts-clone) of 32-bit units after its size, then the replacements, each with
a zero byte at its end. Keys are characters and sequences of them. SentencePiece goes through a text
once, from left to right, and replaces the longest key at each index.
"""

import struct
from collections.abc import Iterator
from functools import cached_property

from ..errors import TokenizerError
from .longest_match import Automaton, PatternTooLargeError

_MAX_REPLACEMENT_BYTES = 1024  # of one key; the longest in use has 33
_MAX_KEY_BYTES = 64  # the longest in use has 16


class CharacterTable:
    """The entries of a table that `check_charsmap` accepts. Raises PatternTooLargeError."""

    def __init__(self, charsmap: bytes) -> None:
        size = int.from_bytes(charsmap[:4], "little")
        self._units = struct.unpack_from(f"<{size // 4}I", charsmap, 4)
        self._replacements = charsmap[4 + size :]
        self._children: dict[int, list[int]] = {}  # positions of units by their base
        for position, unit in enumerate(self._units):
            if not unit >> 31 and unit & 0xFF:
                self._children.setdefault(position ^ (unit & 0xFF), []).append(position)
        self._after: dict[int, list[tuple[str, int]]] = {}  # _characters_after, by base
        self._automaton = Automaton()
        self._nodes: dict[tuple[int, bool], int] = {}

    @cached_property
    def characters(self) -> dict[str, str]:
        """The replacements of single characters."""
        return {c: self._replacement(at) for c, at in self._characters_after(0) if self._is_key(at)}

    @cached_property
    def sequences(self) -> str:
        """A pattern of the longest key of several characters; empty if there is none."""
        edges = {c: self._node(position, 1) for c, position in self._characters_after(0)}
        starts = {c: self._automaton.edges(node) for c, node in edges.items()}
        later = {c: self._automaton.node(e, is_end=False) for c, e in starts.items() if e}
        return self._automaton.pattern(self._automaton.node(later, is_end=False))

    @cached_property
    def starts(self) -> dict[str, int]:
        """The characters with which keys of several characters begin, and their positions."""
        return {c: at for c, at in self._characters_after(0) if self._has_children(at)}

    @cached_property
    def seconds(self) -> frozenset[str]:
        """The second characters of keys."""
        nodes = {self._node(position, 1) for position in self.starts.values()}
        return frozenset().union(*map(self._automaton.edges, nodes))

    @cached_property
    def tails(self) -> frozenset[str]:
        """The second and later characters of keys."""
        nodes = {self._node(position, 1) for position in self.starts.values()}
        characters: set[str] = set()
        while nodes:
            edges = self._automaton.edges(nodes.pop())
            characters |= edges.keys()
            nodes |= {*edges.values()}
        return frozenset(characters)

    def sequences_from(self, first: str) -> Iterator[tuple[str, str]]:
        """Yield the keys of several characters that begin with one, and their replacements."""
        pending = [(first, self.starts[first])]
        while pending:
            key, position = pending.pop()
            if len(key) > 1 and self._is_key(position):
                yield key, self._replacement(position)
            pending += [(key + c, at) for c, at in self._characters_after(position)]

    def _base(self, position: int) -> int:
        unit: int = self._units[position]
        return position ^ ((unit >> 10) << ((unit & 0x200) >> 6))

    def _is_key(self, position: int) -> bool:
        return bool(self._units[position] >> 8 & 1)

    def _has_children(self, position: int) -> bool:
        return self._base(position) in self._children

    def _replacement(self, position: int) -> str:
        start = self._units[self._base(position)] & 0x7FFFFFFF
        return self._replacements[start : self._replacements.index(b"\0", start)].decode()

    def _characters_after(self, position: int) -> list[tuple[str, int]]:
        """Return the characters that may follow in a key, and their last bytes' positions."""
        base = self._base(position)
        if base not in self._after:
            self._after[base] = [*self._complete(b"", base)]
        return self._after[base]

    def _complete(self, prefix: bytes, base: int) -> Iterator[tuple[str, int]]:
        """Yield the characters that begin with some bytes, and their last bytes' positions."""
        for child in self._children.get(base, ()):
            raw = prefix + bytes([self._units[child] & 0xFF])
            if len(raw) < _utf8_length(raw[0]):
                yield from self._complete(raw, self._base(child))
            else:
                yield raw.decode(), child

    def _node(self, position: int, length: int) -> int:
        """Return the automaton's node of a position after some characters of a key."""
        if length > _MAX_KEY_BYTES:  # or it is a circle
            raise PatternTooLargeError
        shared = (self._base(position), self._is_key(position))
        if shared not in self._nodes:
            edges = {c: self._node(at, length + 1) for c, at in self._characters_after(position)}
            self._nodes[shared] = self._automaton.node(edges, is_end=shared[1])
        return self._nodes[shared]


def _utf8_length(first: int) -> int:
    return 1 if first < 0x80 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4


def check_charsmap(charsmap: bytes, *, name: str) -> None:
    """Raise TokenizerError for a table that could be read out of bounds or make texts endless."""
    size = int.from_bytes(charsmap[:4], "little")
    if len(charsmap) < 4 or size % 1024 or not 0 < size <= len(charsmap) - 4:
        raise TokenizerError(f"{name} has a damaged normalizer: its table ends too early")
    replacements = charsmap[4 + size :]
    if max(
        map(len, replacements.split(b"\0"))
    ) > _MAX_REPLACEMENT_BYTES or not replacements.endswith(b"\0"):
        raise TokenizerError(f"{name} has a damaged normalizer: a replacement has no end")
    starts = {0, *(i + 1 for i, byte in enumerate(replacements) if not byte)}
    blocks = size // 1024  # of 256 units; the next byte of a text selects one of a block
    for index, unit in enumerate(struct.unpack_from(f"<{size // 4}I", charsmap, 4)):
        if unit >> 31:
            valid = unit & 0x7FFFFFFF in starts
        else:
            offset = (unit >> 10) << ((unit & 0x200) >> 6)
            valid = (index ^ offset) >> 8 < blocks
        if not valid:
            raise TokenizerError(f"{name} has a damaged normalizer: its table points nowhere")
