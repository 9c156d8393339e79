"""Speculative search: several tokens a step, with the same output; after arXiv 2211.17192.

Shape suffixes: R rows, T tokens, V vocabulary.
"""

from collections.abc import Sequence

from torch import Tensor

from ...data import pad
from ...errors import ConfigError
from ..request import Event, Request
from ..steppers.stepper import Reorderable, RewindingStepper, Stepper
from .drafters import Drafter
from .tokenwise import ActiveSequence, TokenwiseParameters, TokenwiseSearch

DRAFT_TOKENS = 8  # for each row in a step, at most
_MAX_SKIPPED_STEPS = 15


class _DraftBackoff:
    """Exponential back-off of drafting, for each row.

    A row whose draft was wrong from its first token on is not drafted for in the next step, after
    the next such draft in three steps, then in seven, in 15 at most. Reading two tokens takes half
    as long again as reading one, and more tokens little more, so it is drafting at all that must
    pay.
    """

    def __init__(self) -> None:
        self._misses: list[int] = []  # consecutive drafts without an accepted token
        self._skips: list[int] = []  # steps left without a draft

    def add(self, rows: int) -> None:
        """Append new rows."""
        self._misses += [0] * rows
        self._skips += [0] * rows

    def draft_lengths(self, limits: Sequence[int], draft_tokens: int) -> list[int]:
        """Return how many tokens to draft for each row in this step: at most its limit."""
        counts = [
            0 if skip else min(limit, draft_tokens)
            for limit, skip in zip(limits, self._skips, strict=True)
        ]
        self._skips = [max(0, skip - 1) for skip in self._skips]
        return counts

    def update(self, drafted: Sequence[int], accepted: Sequence[int]) -> None:
        """Learn from the numbers of drafted and accepted tokens, where any were drafted."""
        for row, (count, right) in enumerate(zip(drafted, accepted, strict=True)):
            if count:
                self._misses[row] = 0 if right else self._misses[row] + 1
                self._skips[row] = min(2 ** self._misses[row] - 1, _MAX_SKIPPED_STEPS)

    def reorder(self, rows: Sequence[int], rows_per_entry: int = 1) -> None:
        """See Reorderable."""
        del rows_per_entry
        self._misses = [self._misses[row] for row in rows]
        self._skips = [self._skips[row] for row in rows]


class SpeculativeSearch(TokenwiseSearch):
    """Greedy search or sampling that verifies drafted tokens together.

    Its random numbers depend on the position alone and each selection sees its row as it stands
    there, so the tokens and their log-probabilities are those of the plain search, whatever is
    drafted.
    """

    def __init__(
        self,
        parameters: TokenwiseParameters,
        drafter: Drafter,
        *,
        draft_tokens: int = DRAFT_TOKENS,
    ) -> None:
        super().__init__(parameters)
        self._drafter, self._draft_tokens, self._backoff = drafter, draft_tokens, _DraftBackoff()
        self.proposed = 0  # drafted tokens of all requests so far
        self.accepted = 0  # those of them that were generated

    def add(self, requests: Sequence[Request]) -> None:
        """See Search."""
        super().add(requests)
        self._drafter.admit(requests, self.width)
        self._backoff.add(len(requests) * self.width)

    def step(self, stepper: Stepper) -> list[Event]:
        """See Search. Generates at least one token of each sequence.

        Raises ConfigError for a stepper that cannot take tokens back.
        """
        if not isinstance(stepper, RewindingStepper):
            raise ConfigError("speculative decoding needs a model that can take tokens back")
        rows = [sequence.state for sequence in self._sequences]
        limits = [row.request.max_new_tokens - len(row.generated_ids) - 1 for row in rows]
        drafts = self._drafter.draft(rows, self._backoff.draft_lengths(limits, self._draft_tokens))
        inputs = [[row.last_id, *draft] for row, draft in zip(rows, drafts, strict=True)]
        logits_RTV = stepper.extend(pad(inputs, 0), [len(ids) for ids in inputs])
        events, accepted = self._verify(drafts, logits_RTV)
        drafted = [len(draft) for draft in drafts]
        if drafted != accepted:
            stepper.rewind([count - right for count, right in zip(drafted, accepted, strict=True)])
        self.proposed += sum(drafted)
        self.accepted += sum(accepted)
        self._backoff.update(drafted, accepted)
        events += self._pop_finished()
        self._drop_finished(stepper)
        return events

    def _drop_finished(self, *others: Reorderable) -> None:
        """See TokenwiseSearch: drafts have the same rows."""
        super()._drop_finished(*others, self._drafter, self._backoff)

    def _verify(
        self, drafts: Sequence[Sequence[int]], logits_RTV: Tensor
    ) -> tuple[list[Event], list[int]]:
        """Append selected tokens, up to the first that was not drafted.

        Returns the events, and how many drafted tokens of each row were accepted.
        """
        events: list[Event] = []
        accepted = [0] * len(drafts)
        live, position = list(range(len(drafts))), 0
        while live:
            sequences = [self._sequences[row] for row in live]
            events += self._append_tokens(sequences, logits_RTV[live, position])
            live = [
                row for row in live if _matches_draft(self._sequences[row], drafts[row], position)
            ]
            for row in live:
                accepted[row] += 1
            live = [row for row in live if self._sequences[row].finish_reason is None]
            position += 1
        return events, accepted


def _matches_draft(sequence: ActiveSequence, draft: Sequence[int], position: int) -> bool:
    """Return True if the sequence's last token is the draft's at this position."""
    if sequence.finish_reason == "no_valid_token" or position >= len(draft):
        return False
    return sequence.state.generated_ids[-1] == draft[position]
