"""Guesses of how texts go on, for speculative search to check: a table of drafters.

Shape suffixes: R rows, T tokens, V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from ...data import pad
from ...registry import Registry
from ..logits.processors import LogitsProcessorList
from ..request import Request, SearchOptions, SequenceState
from ..steppers.stepper import RewindingStepper
from .tokenwise import Selector


class Drafter(Protocol):
    """Something that guesses, cheaply. Its rows are those of the search."""

    def admit(self, tasks: Sequence[Request], copies: int = 1) -> None:
        """Add rows after those that are there, `copies` for each task."""
        ...

    def draft(self, rows: Sequence[SequenceState], most: Sequence[int]) -> list[list[int]]:
        """The tokens that may come next in each row, at most so many; perhaps none."""
        ...

    def reorder(self, rows: Sequence[int], copies: int = 1) -> None:
        """See Follower."""
        ...


@dataclass(frozen=True, kw_only=True)
class DraftOptions:
    """What drafters are made of."""

    search_options: SearchOptions
    selector: Selector  # how the search picks
    stepper: RewindingStepper | None = None  # a smaller model's, for the drafter "model"
    shares_source_vocabulary: bool = False  # whether what is written is of the sources' vocabulary


_LONGEST = 3  # tokens that are looked up


class PromptLookupDrafter:
    """What followed the last tokens when they last occurred, in the text or its source: the
    longest n-gram that did, of up to 3. Where that runs into the text's end it repeats."""

    def __init__(self, made_of: DraftOptions) -> None:
        self._sources = made_of.shares_source_vocabulary

    def admit(self, tasks: Sequence[Request], copies: int = 1) -> None:
        """See Drafter."""

    def reorder(self, rows: Sequence[int], copies: int = 1) -> None:
        """See Follower."""

    def draft(self, rows: Sequence[SequenceState], most: Sequence[int]) -> list[list[int]]:
        """See Drafter."""
        return [
            self._guess(row.all_ids(), row.request.source, count) if count else []
            for row, count in zip(rows, most, strict=True)
        ]

    def _guess(self, tokens: list[int], source: Sequence[int], count: int) -> list[int]:
        last = tokens[-_LONGEST:]
        size, end = _latest(tokens[:-1], last)
        if self._sources:
            other_size, other_end = _latest(source[:-1], last)
            if other_size > size:
                return list(source[other_end : other_end + count])
        if not size:
            return []
        period = tokens[end:]
        return [period[place % len(period)] for place in range(count)]


def _latest(tokens: Sequence[int], wanted: Sequence[int]) -> tuple[int, int]:
    """How many of the last wanted tokens occur together, at most, and where the last such
    occurrence ends.

    >>> _latest([1, 2, 5, 3, 2, 9], [7, 1, 2])
    (2, 2)
    """
    best = 0, 0
    for end in range(len(tokens), 0, -1):
        size = 0
        while size < min(len(wanted), end) and tokens[end - 1 - size] == wanted[-1 - size]:
            size += 1
        if size > best[0]:
            best = size, end
        if size == len(wanted):
            break
    return best


@dataclass
class _Read:
    """How far a draft's stepper has read a row."""

    count: int  # tokens it has read, guesses among them
    sure: int  # of these, so many were no guesses
    guesses: list[int] = field(default_factory=list)  # what it took the row to go on with

    def right(self, tokens: Sequence[int]) -> int:
        """How many of the tokens read are the row's. Its last is none of them: it was not guessed,
        or the guess before it was the last to be read."""
        right = self.sure
        for guess, token in zip(self.guesses, tokens[self.sure :], strict=False):
            if guess != token:
                break
            right += 1
        return min(right, self.count)


class ModelDrafter:
    """A smaller model that writes ahead, as the search does: with its processors and its noise, so
    that where the models agree their samples do."""

    def __init__(self, made_of: DraftOptions) -> None:
        assert made_of.stepper is not None, "this drafter needs a stepper"
        self._stepper, self._pick, self._options = (
            made_of.stepper,
            made_of.selector,
            made_of.search_options,
        )
        self._process = LogitsProcessorList(
            made_of.search_options.processors, made_of.search_options.end
        )
        self._read: list[_Read] = []

    def admit(self, tasks: Sequence[Request], copies: int = 1) -> None:
        """See Drafter."""
        self._stepper.admit(tasks, copies)
        for task in tasks:
            there = len(task.prompt) - 1
            self._read += [_Read(there, there) for _ in range(copies)]

    def reorder(self, rows: Sequence[int], copies: int = 1) -> None:
        """See Follower. No row comes twice."""
        self._stepper.reorder(rows, copies)
        self._read = [self._read[row] for row in rows]

    def draft(self, rows: Sequence[SequenceState], most: Sequence[int]) -> list[list[int]]:
        """See Drafter."""
        tokens = [row.all_ids() for row in rows]
        self._take_back(tokens)
        guesses: list[list[int]] = [[] for _ in rows]
        going = [place for place, count in enumerate(most) if count]
        new: list[list[int]] = [[] for _ in rows]
        for place in going:
            new[place] = tokens[place][self._read[place].count :]
        while going:
            logits_RV = self._extend(new)
            new = [[] for _ in rows]
            grown = [
                rows[p]._replace(generated_ids=[*rows[p].generated_ids, *guesses[p]]) for p in going
            ]
            shaped_RV = self._process(logits_RV[going], grown)
            picked = self._pick(shaped_RV, grown, self._options).tolist()
            for place, token in zip(going, picked, strict=True):
                guesses[place].append(token)
                if len(guesses[place]) < most[place] and token not in self._options.end:
                    new[place] = [token]
            going = [place for place in going if new[place]]
        for read, some, guessed in zip(self._read, tokens, guesses, strict=True):
            if guessed:
                read.sure, read.guesses = len(some), guessed
        return guesses

    def _take_back(self, tokens: Sequence[Sequence[int]]) -> None:
        """What the rows did not go on with."""
        right = [read.right(some) for read, some in zip(self._read, tokens, strict=True)]
        wrong = [read.count - count for read, count in zip(self._read, right, strict=True)]
        if any(wrong):
            self._stepper.rewind(wrong)
        self._read = [_Read(count, count) for count in right]

    def _extend(self, new: Sequence[Sequence[int]]) -> Tensor:
        """Read new tokens; what may come after the last of each row's (R, V)."""
        counts = [len(some) for some in new]
        logits_RTV = self._stepper.extend(pad(new, 0), counts)
        for read, count in zip(self._read, counts, strict=True):
            read.count += count
        last_R = torch.tensor(counts).sub(1).clamp(min=0)
        return logits_RTV[torch.arange(len(new)), last_R]


DRAFTERS: Registry[Callable[[DraftOptions], Drafter]] = Registry(
    "drafter", {"lookup": PromptLookupDrafter, "model": ModelDrafter}
)
