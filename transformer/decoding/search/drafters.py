"""Drafters: cheap guesses of the next tokens, for speculative search to verify.

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
from ..request import Request, SequenceState
from ..steppers.stepper import RewindingStepper
from .tokenwise import TokenwiseParameters


class Drafter(Protocol):
    """A proposer of draft tokens for speculative decoding. Its rows are those of the search."""

    def admit(self, requests: Sequence[Request], rows_per_entry: int = 1) -> None:
        """Append `rows_per_entry` rows for each request."""
        ...

    def draft(self, rows: Sequence[SequenceState], limits: Sequence[int]) -> list[list[int]]:
        """Return a draft of each row's next tokens: at most `limits[r]`, perhaps none."""
        ...

    def reorder(self, rows: Sequence[int], rows_per_entry: int = 1) -> None:
        """See Reorderable."""
        ...


@dataclass(frozen=True, kw_only=True)
class DraftOptions:
    """Arguments from which drafters are built."""

    parameters: TokenwiseParameters  # the search's
    stepper: RewindingStepper | None = None  # the smaller model's, for the drafter "model"
    shares_source_vocabulary: bool = False  # True: a source's ids are those of the text


_MAX_NGRAM = 3  # tokens


class PromptLookupDrafter:
    """Prompt lookup decoding: the tokens that followed an earlier occurrence of the last ones.

    The longest n-gram of up to 3 last tokens is looked up that occurs earlier in the text, or in
    its source, there at its last occurrence. A draft that runs into the text's end repeats.
    """

    def __init__(self, options: DraftOptions) -> None:
        self._search_source = options.shares_source_vocabulary

    def admit(self, requests: Sequence[Request], rows_per_entry: int = 1) -> None:
        """See Drafter."""

    def reorder(self, rows: Sequence[int], rows_per_entry: int = 1) -> None:
        """See Reorderable."""

    def draft(self, rows: Sequence[SequenceState], limits: Sequence[int]) -> list[list[int]]:
        """See Drafter."""
        return [
            self._look_up(row.all_ids(), row.request.source, count) if count else []
            for row, count in zip(rows, limits, strict=True)
        ]

    def _look_up(self, tokens: list[int], source: Sequence[int], count: int) -> list[int]:
        """Return the `count` tokens after the longest match, or none without a match."""
        suffix = tokens[-_MAX_NGRAM:]
        size, end = _longest_suffix_match(tokens[:-1], suffix)
        if self._search_source:
            source_size, source_end = _longest_suffix_match(source[:-1], suffix)
            if source_size > size:
                return list(source[source_end : source_end + count])
        if not size:
            return []
        period = tokens[end:]
        return [period[index % len(period)] for index in range(count)]


def _longest_suffix_match(tokens: Sequence[int], suffix: Sequence[int]) -> tuple[int, int]:
    """Return the length of the longest end of `suffix` in `tokens`, and where that match ends.

    Of several matches of that length it is the last.

    >>> _longest_suffix_match([1, 2, 5, 3, 2, 9], [7, 1, 2])
    (2, 2)
    """
    best = 0, 0
    for end in range(len(tokens), 0, -1):
        size = 0
        while size < min(len(suffix), end) and tokens[end - 1 - size] == suffix[-1 - size]:
            size += 1
        if size > best[0]:
            best = size, end
        if size == len(suffix):
            break
    return best


@dataclass
class _DraftProgress:
    """The draft model's progress in one row."""

    num_read: int  # tokens read, drafted ones among them
    confirmed: int  # of these, tokens that were not drafted
    drafted: list[int] = field(default_factory=list)  # the draft after the confirmed tokens

    def num_correct(self, tokens: Sequence[int]) -> int:
        """Return how many of the tokens read are the row's.

        The row's last token is none of them: it was not drafted, or the drafted token before it was
        the last to be read.
        """
        correct = self.confirmed
        for draft_id, token in zip(self.drafted, tokens[self.confirmed :], strict=False):
            if draft_id != token:
                break
            correct += 1
        return min(correct, self.num_read)


class ModelDrafter:
    """A smaller model that decodes ahead, as the search does.

    It has the search's processors and random numbers, so that where the models agree their samples
    do.
    """

    def __init__(self, options: DraftOptions) -> None:
        assert options.stepper is not None, "this drafter needs a stepper"
        self._stepper, self._parameters = options.stepper, options.parameters
        end_ids = self._parameters.end_ids
        self._process = LogitsProcessorList(self._parameters.processors, end_ids)
        self._progress: list[_DraftProgress] = []

    def admit(self, requests: Sequence[Request], rows_per_entry: int = 1) -> None:
        """See Drafter."""
        self._stepper.admit(requests, rows_per_entry)
        for request in requests:
            prompt_length = len(request.prompt) - 1
            self._progress += [
                _DraftProgress(prompt_length, prompt_length) for _ in range(rows_per_entry)
            ]

    def reorder(self, rows: Sequence[int], rows_per_entry: int = 1) -> None:
        """See Reorderable. No row comes twice."""
        self._stepper.reorder(rows, rows_per_entry)
        self._progress = [self._progress[row] for row in rows]

    def draft(self, rows: Sequence[SequenceState], limits: Sequence[int]) -> list[list[int]]:
        """See Drafter."""
        tokens = [row.all_ids() for row in rows]
        self._rewind_rejected(tokens)
        drafts: list[list[int]] = [[] for _ in rows]
        live = [row for row, count in enumerate(limits) if count]
        new_ids: list[list[int]] = [[] for _ in rows]
        for row in live:
            new_ids[row] = tokens[row][self._progress[row].num_read :]
        while live:
            logits_RV = self._extend(new_ids)
            new_ids = [[] for _ in rows]
            extended = [
                rows[row]._replace(generated_ids=[*rows[row].generated_ids, *drafts[row]])
                for row in live
            ]
            processed_RV = self._process(logits_RV[live], extended)
            selected = self._parameters.select(processed_RV, extended).tolist()
            for row, token in zip(live, selected, strict=True):
                drafts[row].append(token)
                if len(drafts[row]) < limits[row] and token not in self._parameters.end_ids:
                    new_ids[row] = [token]
            live = [row for row in live if new_ids[row]]
        for progress, ids, draft in zip(self._progress, tokens, drafts, strict=True):
            if draft:
                progress.confirmed, progress.drafted = len(ids), draft
        return drafts

    def _rewind_rejected(self, tokens: Sequence[Sequence[int]]) -> None:
        """Take back the drafted tokens that the rows did not accept."""
        correct = [
            progress.num_correct(ids) for progress, ids in zip(self._progress, tokens, strict=True)
        ]
        rejected = [
            progress.num_read - count
            for progress, count in zip(self._progress, correct, strict=True)
        ]
        if any(rejected):
            self._stepper.rewind(rejected)
        self._progress = [_DraftProgress(count, count) for count in correct]

    def _extend(self, new_ids: Sequence[Sequence[int]]) -> Tensor:
        """Read new tokens; return the logits (R, V) after the last of each row."""
        counts = [len(ids) for ids in new_ids]
        logits_RTV = self._stepper.extend(pad(new_ids, 0), counts)
        for progress, count in zip(self._progress, counts, strict=True):
            progress.num_read += count
        last_R = torch.tensor(counts).sub(1).clamp(min=0)
        return logits_RTV[torch.arange(len(new_ids)), last_R]


DRAFTERS: Registry[Callable[[DraftOptions], Drafter]] = Registry(
    "drafter", {"lookup": PromptLookupDrafter, "model": ModelDrafter}
)
