"""Several models that write together.

Shape suffixes: N models, R rows, T tokens, V vocabulary.
"""

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from ...registry import Registry
from ..request import Request
from .stepper import RewindingStepper, Stepper


def _mean_probability(log_NRV: Tensor) -> Tensor:
    return log_NRV.logsumexp(dim=0) - math.log(len(log_NRV))


def _mean_log_probability(log_NRV: Tensor) -> Tensor:
    return log_NRV.mean(dim=0).log_softmax(dim=-1)


# From log-probabilities (N, …, V) to one model's (…, V): the mean of probabilities, which any model
# can hold up, or their geometric mean, against which each has a veto.
COMBINATIONS: Registry[Callable[[Tensor], Tensor]] = Registry(
    "combination of models",
    {"probability": _mean_probability, "log-probability": _mean_log_probability},
)


class EnsembleStepper:
    """Steppers whose distributions are averaged, each with the same weight. A RewindingStepper
    where all of them are."""

    def __init__(self, steppers: Sequence[Stepper], combination: str = "probability") -> None:
        assert steppers, "nothing to average"
        self._steppers, self._combine = list(steppers), COMBINATIONS[combination]

    def admit(self, tasks: Sequence[Request], copies: int = 1) -> None:
        """See Stepper."""
        for stepper in self._steppers:
            stepper.admit(tasks, copies)

    def step(self, ids_R: Tensor) -> Tensor:
        """See Stepper. What it returns are log-probabilities."""
        return self._average([stepper.step(ids_R) for stepper in self._steppers])

    def _average(self, logits: Sequence[Tensor]) -> Tensor:
        each = [some.to(logits[0].device).log_softmax(dim=-1) for some in logits]
        return self._combine(torch.stack(each))

    def reorder(self, rows: Sequence[int], copies: int = 1) -> None:
        """See Follower."""
        for stepper in self._steppers:
            stepper.reorder(rows, copies)

    def extend(self, ids_RT: Tensor, counts: Sequence[int]) -> Tensor:
        """See RewindingStepper."""
        return self._average([each.extend(ids_RT, counts) for each in self._rewinding()])

    def rewind(self, counts: Sequence[int]) -> None:
        """See RewindingStepper."""
        for stepper in self._rewinding():
            stepper.rewind(counts)

    def _rewinding(self) -> Iterator[RewindingStepper]:
        for stepper in self._steppers:
            assert isinstance(stepper, RewindingStepper)
            yield stepper
