"""Regular expressions that match the longest of many texts, without trying them one by one."""

from collections.abc import Iterable, Mapping

MAX_PATTERN = 1 << 20  # characters; that of SentencePiece's own tables has 60,000
_MAX_DEPTH = 500  # of groups in groups


class PatternTooLargeError(ValueError):
    """Texts whose pattern would be larger than any tokenizer needs."""

    def __init__(self) -> None:
        super().__init__("it has too many, or too long, sequences of characters")


class Automaton:
    """A minimal automaton of texts: nodes with the same continuations are one node.

    A node is made after those that its edges lead to, so their numbers are smaller.
    """

    def __init__(self) -> None:
        self._ids: dict[tuple[bool, tuple[tuple[str, int], ...]], int] = {}
        self._nodes: list[tuple[bool, Mapping[str, int]]] = []
        self._patterns: list[tuple[str, int]] = []  # and the depth of their groups

    def node(self, edges: Mapping[str, int], *, is_end: bool) -> int:
        """Return the node with these edges, by character; a text ends there if `is_end`."""
        key = (is_end, tuple(sorted(edges.items())))
        if key not in self._ids:
            self._ids[key] = len(self._nodes)
            self._nodes.append((is_end, edges))
        return self._ids[key]

    def edges(self, node: int) -> Mapping[str, int]:
        """Return the nodes that follow a node, by character."""
        return self._nodes[node][1]

    def pattern(self, node: int) -> str:
        """Return a pattern of the longest text of one character or more from a node to an end.

        It is empty if there is none. Raises PatternTooLargeError.
        """
        for following in range(len(self._patterns), node + 1):
            self._patterns.append(self._make_pattern(following))
        return self._patterns[node][0]

    def _make_pattern(self, node: int) -> tuple[str, int]:
        by_target: dict[int, list[str]] = {}
        for character, target in self._nodes[node][1].items():
            by_target.setdefault(target, []).append(character)
        branches, depth = [], 0
        for target, characters in by_target.items():
            rest, rest_depth = self._patterns[target]
            optional = bool(rest) and self._nodes[target][0]
            branches.append(character_class(characters) + (f"(?:{rest})?" if optional else rest))
            depth = max(depth, rest_depth + optional)
        grouped = len(branches) > 1
        if sum(map(len, branches)) > MAX_PATTERN or depth > _MAX_DEPTH:
            raise PatternTooLargeError
        pattern = "|".join(branches)
        return f"(?:{pattern})" if grouped else pattern, depth + grouped


def longest_of(texts: Iterable[str]) -> str:
    """Return a pattern that matches the longest of some texts, none of which is empty.

    >>> longest_of(["ab", "abcd", "x"])
    '(?:[a][b](?:[c][d])?|[x])'
    """
    ends = set(texts)
    following: dict[str, set[str]] = {"": set()}
    for text in ends:
        for index, character in enumerate(text):
            following.setdefault(text[:index], set()).add(character)
        following.setdefault(text, set())
    automaton, nodes = Automaton(), dict[str, int]()
    for prefix in sorted(following, key=lambda prefix: (-len(prefix), prefix)):
        edges = {character: nodes[prefix + character] for character in sorted(following[prefix])}
        nodes[prefix] = automaton.node(edges, is_end=prefix in ends)
    return automaton.pattern(nodes[""])


def character_class(characters: Iterable[str]) -> str:
    """Return a bracket expression of characters.

    >>> character_class("acbz-")
    '[\\\\x{2d}a-cz]'
    """
    ranges: list[list[int]] = []
    for code in sorted({ord(character) for character in characters}):
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return f"[{''.join(_range(first, last) for first, last in ranges)}]"


def _range(first: int, last: int) -> str:
    start, end = (
        chr(code) if chr(code).isalnum() else rf"\x{{{code:x}}}" for code in (first, last)
    )
    return start if first == last else start + ("-" if last > first + 1 else "") + end
