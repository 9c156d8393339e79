"""Contrastive search: likely tokens that are unlike what was written; arXiv 2202.06417.

Shape suffixes: B texts, K candidates of each, R rows of the stepper (texts × candidates), T tokens,
D d_model, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from ...errors import ConfigError
from ..logits.processors import LogitsProcessorList
from ..request import Event, Request, RequestFinished, SearchOptions, SequenceState
from ..steppers.stepper import StateStepper, Stepper
from .tokenwise import ActiveSequence, check_log_probs, to_host

_NEVER = float("-inf")


@dataclass
class _Choice:
    """A text, and the tokens of which the next will be one: none before its prompt is read."""

    text: ActiveSequence
    tokens: list[int] = field(default_factory=list)
    chances: list[float] = field(default_factory=list)  # as processors leave them
    log_probabilities: list[float] = field(default_factory=list)  # under the model


class ContrastiveSearch:
    """`argmax (1-α)·p(v) - α·max_j cos(h_v, h_j)` over the k likeliest tokens v, h_j being the last
    layer's states of all tokens so far, the prompt's (or start token's) among them; equation 5.

    Each text has k rows, each of which reads one candidate; all become the chosen one. So a first
    step reads what the prompt ends with, and the last token is read too.
    """

    reads_states = True

    def __init__(self, options: SearchOptions) -> None:
        self.width = options.candidates
        self._options = options
        self._process = LogitsProcessorList(options.processors, options.end)
        self._choices: dict[Request, _Choice] = {}

    @property
    def requests(self) -> list[Request]:
        """See Search."""
        return list(self._choices)

    def add(self, tasks: Sequence[Request]) -> None:
        """See Search."""
        for task in tasks:
            self._choices[task] = _Choice(ActiveSequence(SequenceState(task, [])))

    def step(self, stepper: Stepper) -> list[Event]:
        """See Search. Raises ConfigError for a stepper that has no states."""
        if not isinstance(stepper, StateStepper):
            raise ConfigError(
                "contrastive search looks at a model's states, which several models together "
                "have not; use one model, or another search"
            )
        choices = list(self._choices.values())
        read = [choice.tokens or [choice.text.state.last_id] * self.width for choice in choices]
        logits_RV = stepper.step(torch.tensor(read).flatten())
        best = self._best(choices, stepper)
        events: list[Event] = []
        for choice, place in zip(choices, best, strict=True):
            if choice.tokens:
                gain = choice.log_probabilities[place]
                events.append(choice.text.append(choice.tokens[place], gain, self._options))
        rows = [base * self.width + place for base, place in enumerate(best)]
        going = [place for place, choice in enumerate(choices) if choice.text.finish_reason is None]
        if going:
            self._propose([choices[p] for p in going], logits_RV[[rows[p] for p in going]])
        events += self._finish()
        stay = [rows[place] for place in going if choices[place].text.finish_reason is None]
        stepper.reorder([row for row in stay for _ in range(self.width)], self.width)
        return events

    def _best(self, choices: Sequence[_Choice], stepper: StateStepper) -> list[int]:
        """Which candidate each text takes; of those that it has not, the first."""
        likeness_BK = _likeness(*stepper.states(), self.width)
        none = [0.0] * self.width
        chances_BK = likeness_BK.new_tensor([choice.chances or none for choice in choices])
        penalty = self._options.contrastive_penalty
        scores_BK = (1 - penalty) * chances_BK - penalty * likeness_BK
        best: list[int] = scores_BK.masked_fill(chances_BK == 0, _NEVER).argmax(dim=1).tolist()
        return best

    def _propose(self, choices: Sequence[_Choice], logits_BV: Tensor) -> None:
        """Let each text choose from the likeliest tokens."""
        shaped_BV = self._process(logits_BV, [choice.text.state for choice in choices])
        count = min(self.width, logits_BV.size(1))
        ids_BK = shaped_BV.topk(count).indices
        chances_BK = shaped_BV.softmax(dim=-1).gather(1, ids_BK)
        gains_BK = logits_BV.log_softmax(dim=-1).gather(1, ids_BK)
        stuck_BK = shaped_BV.amax(dim=-1, keepdim=True).isneginf().expand_as(ids_BK)
        columns = to_host(stuck_BK, ids_BK, chances_BK, gains_BK)
        check_log_probs(columns[-1])
        spare = self.width - count  # of a vocabulary smaller than that
        for choice, no, ids, chances, gains in zip(choices, *columns.tolist(), strict=True):
            if no[0]:
                choice.text.finish_reason = "no_valid_token"
            tokens = [int(token) for token in ids]
            choice.tokens = tokens + tokens[:1] * spare
            choice.chances = chances + [0.0] * spare
            choice.log_probabilities = gains

    def _finish(self) -> list[Event]:
        done = [task for task, choice in self._choices.items() if choice.text.finish_reason]
        found: list[Event] = []
        for task in done:
            text = self._choices.pop(task).text
            stuck = text.finish_reason == "no_valid_token"
            found.append(RequestFinished(task, [] if stuck else [text.hypothesis(self._options)]))
        return found


def _likeness(states_RTD: Tensor, lengths_R: Tensor, width: int) -> Tensor:
    """The largest cosine (B, K) of each row's newest state with those before it, which a text's
    rows have in common; -1 where there are none."""
    places_R = torch.arange(len(states_RTD), device=states_RTD.device)
    newest_RD = F.normalize(states_RTD[places_R, lengths_R - 1].float(), dim=-1)
    before_BTD = F.normalize(states_RTD[::width].float(), dim=-1)
    cosines_BKT = newest_RD.view(len(before_BTD), width, -1) @ before_BTD.transpose(1, 2)
    places_T = torch.arange(states_RTD.size(1), device=states_RTD.device)
    later_B1T = places_T >= lengths_R[::width, None, None] - 1
    return cosines_BKT.masked_fill(later_B1T, -1.0).amax(dim=-1)
