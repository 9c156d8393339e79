"""Speculative search: several tokens a step, the same text; after arXiv 2211.17192.

Shape suffixes: R rows, T tokens, V vocabulary.
"""

from collections.abc import Sequence

from torch import Tensor

from ...data import pad
from ...errors import ConfigError
from ..request import Event, Request, SearchOptions
from ..steppers.stepper import RewindingStepper, Stepper
from .drafters import Drafter
from .tokenwise import ActiveSequence, Selector, TokenwiseSearch

DRAFT_TOKENS = 8  # tokens that are guessed at a time
_LONGEST_REST = 15  # steps


class _DraftBackoff:
    """Which rows to guess for: one whose guess was wrong from its first token on rests for a step,
    after the next such guess for three, then seven. Reading two tokens takes half as long again as
    reading one, and the others little more, so it is guessing at all that must pay."""

    def __init__(self) -> None:
        self._misses: list[int] = []  # in a row
        self._rests: list[int] = []  # steps that are left

    def add(self, rows: int) -> None:
        """Begin new rows."""
        self._misses += [0] * rows
        self._rests += [0] * rows

    def within(self, rooms: Sequence[int], ahead: int) -> list[int]:
        """How many tokens to guess, in this step, where there is only so much room."""
        counts = [
            0 if rest else min(room, ahead) for room, rest in zip(rooms, self._rests, strict=True)
        ]
        self._rests = [max(0, rest - 1) for rest in self._rests]
        return counts

    def note(self, guessed: Sequence[int], right: Sequence[int]) -> None:
        """Learn from what became of guesses; of none there is nothing to learn."""
        for row, (count, kept) in enumerate(zip(guessed, right, strict=True)):
            if count:
                self._misses[row] = 0 if kept else self._misses[row] + 1
                self._rests[row] = min(2 ** self._misses[row] - 1, _LONGEST_REST)

    def reorder(self, rows: Sequence[int], copies: int = 1) -> None:
        """See Follower."""
        del copies
        self._misses = [self._misses[row] for row in rows]
        self._rests = [self._rests[row] for row in rows]


class SpeculativeSearch(TokenwiseSearch):
    """Greedy search or sampling that reads guesses together and keeps those that it would have
    picked itself.

    Its noise depends on the position alone and each pick sees its row as it stands there, so what
    is written, and how likely, is what the plain search writes, whatever is guessed.
    """

    def __init__(
        self,
        options: SearchOptions,
        pick: Selector,
        drafter: Drafter,
        *,
        draft_tokens: int = DRAFT_TOKENS,
    ) -> None:
        super().__init__(options, pick)
        self._drafter, self._ahead, self._pace = drafter, draft_tokens, _DraftBackoff()
        self.proposed = 0  # tokens that were guessed, of all texts so far
        self.accepted = 0  # those that were written

    def add(self, tasks: Sequence[Request]) -> None:
        """See Search."""
        super().add(tasks)
        self._drafter.admit(tasks, self.width)
        self._pace.add(len(tasks) * self.width)

    def step(self, stepper: Stepper) -> list[Event]:
        """See Search. Writes at least one token of each text. Raises ConfigError for a stepper that
        cannot take tokens back."""
        if not isinstance(stepper, RewindingStepper):
            raise ConfigError("speculative decoding needs a model that can take tokens back")
        rows = [text.state for text in self._texts]
        rooms = [row.request.max_new_tokens - len(row.generated_ids) - 1 for row in rows]
        drafts = self._drafter.draft(rows, self._pace.within(rooms, self._ahead))
        read = [[row.last_id, *draft] for row, draft in zip(rows, drafts, strict=True)]
        logits_RTV = stepper.extend(pad(read, 0), [len(some) for some in read])
        events, kept = self._verify(drafts, logits_RTV)
        guessed = [len(draft) for draft in drafts]
        if guessed != kept:
            stepper.rewind([count - right for count, right in zip(guessed, kept, strict=True)])
        self.proposed += sum(guessed)
        self.accepted += sum(kept)
        self._pace.note(guessed, kept)
        events += self._finish()
        self._leave(stepper, self._drafter, self._pace)
        return events

    def _verify(
        self, drafts: Sequence[Sequence[int]], logits_RTV: Tensor
    ) -> tuple[list[Event], list[int]]:
        """Write what is picked, up to the first token that was not guessed; how many were."""
        events: list[Event] = []
        kept = [0] * len(drafts)
        going, place = list(range(len(drafts))), 0
        while going:
            texts = [self._texts[row] for row in going]
            events += self._write(texts, logits_RTV[going, place])
            going = [row for row in going if _guessed(self._texts[row], drafts[row], place)]
            for row in going:
                kept[row] += 1
            going = [row for row in going if self._texts[row].finish_reason is None]
            place += 1
        return events, kept


def _guessed(text: ActiveSequence, draft: Sequence[int], place: int) -> bool:
    if text.finish_reason == "no_valid_token" or place >= len(draft):
        return False
    return text.state.generated_ids[-1] == draft[place]
