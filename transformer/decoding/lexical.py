"""Phrases that must occur in what beam search writes: dynamic beam allocation, arXiv 1804.06609.

Shape suffixes: R rows, C tokens that phrases ask for next.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .tasks import Row

if TYPE_CHECKING:
    from .beam import Beam, Candidate

Phrases = tuple[tuple[int, ...], ...]


def wanted(rows: Sequence[Row]) -> Tensor | None:
    """The tokens (R, C) that bring each row's phrases on; None where no row has any. Rows that
    want fewer than others repeat theirs, rows that want none ask for token 0."""
    if not any(row.task.phrases for row in rows):
        return None
    each = [_next(row) for row in rows]
    most = max(1, *map(len, each))
    return torch.tensor([[*ids, *[(ids or [0])[0]] * (most - len(ids))] for ids in each])


def met(row: Row, *, ended: bool) -> bool:
    """Whether all of a text's phrases are in it; the end token, if any, is its last."""
    if not row.task.phrases:
        return True
    done, _ = progress(_tuples(row), tuple(row.written[:-1] if ended else row.written))
    return done == len(row.task.phrases)


def spread(
    going: Sequence[tuple["Candidate", "Beam"]], beams: int
) -> list[tuple["Candidate", "Beam"]]:
    """The beams to keep, best first: in turn the best of those that have as many tokens of their
    phrases, so that some of each survive; without phrases simply the best."""
    if not going or not going[0][1].row.task.phrases:
        return list(going[:beams])
    banks: dict[int, list[tuple[Candidate, Beam]]] = {}
    for pair in going:
        row = pair[1].row
        banks.setdefault(_tokens_met(row), []).append(pair)
    chosen: list[tuple[Candidate, Beam]] = []
    while len(chosen) < beams and any(banks.values()):
        for bank in sorted(banks, reverse=True):
            if banks[bank] and len(chosen) < beams:
                chosen.append(banks[bank].pop(0))
    return sorted(chosen, key=lambda pair: -pair[1].sum)


def progress(phrases: Phrases, written: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    """How many phrases are there, each at a place of its own, and the tokens of those begun.

    >>> progress(((1, 2), (3,)), (3, 5, 1))
    (1, (2,))
    """
    left = _left(phrases, written)
    return len(phrases) - len(left), tuple(_follows(left, written))


@lru_cache(maxsize=1 << 14)
def _left(phrases: Phrases, written: tuple[int, ...]) -> Phrases:
    """The phrases that do not occur yet; found from left to right, longest first."""
    left, place = sorted(phrases, key=len, reverse=True), 0
    while place < len(written):
        here = next((p for p in left if written[place : place + len(p)] == p), None)
        if here is not None:
            left.remove(here)
        place += len(here) if here else 1
    return tuple(left)


def _follows(left: Phrases, written: tuple[int, ...]) -> list[int]:
    """The next token of each phrase that the text's end begins."""
    found = []
    for phrase in left:
        begun = next((n for n in range(len(phrase) - 1, 0, -1) if written[-n:] == phrase[:n]), 0)
        if begun:
            found.append(phrase[begun])
    return found


def _tuples(row: Row) -> Phrases:
    return tuple(tuple(phrase) for phrase in row.task.phrases)


def _next(row: Row) -> list[int]:
    """What would begin a phrase or bring one on."""
    if not row.task.phrases:
        return []
    phrases, written = _tuples(row), tuple(row.written)
    left = _left(phrases, written)
    return list(dict.fromkeys([*_follows(left, written), *(phrase[0] for phrase in left)]))


def _tokens_met(row: Row) -> int:
    """Tokens of phrases that are there, those of phrases that the end begins among them."""
    phrases, written = _tuples(row), tuple(row.written)
    left = _left(phrases, written)
    whole = sum(map(len, phrases)) - sum(map(len, left))
    begun = [
        n for phrase in left for n in range(1, len(phrase)) if written[-n:] == phrase[:n]
    ]
    return whole + max(begun, default=0)
