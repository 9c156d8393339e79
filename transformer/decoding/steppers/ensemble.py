"""Ensembles: several models that decode together.

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


# From log-probabilities (N, …, V) to one distribution's (…, V): the mean of probabilities, which
# any model can keep high, or their geometric mean, in which each model has a veto.
COMBINATIONS: Registry[Callable[[Tensor], Tensor]] = Registry(
    "combination of models",
    {"probability": _mean_probability, "log-probability": _mean_log_probability},
)


class EnsembleStepper:
    """Steppers whose distributions are averaged with equal weights.

    A RewindingStepper where all of them are.
    """

    def __init__(self, steppers: Sequence[Stepper], combination: str = "probability") -> None:
        assert steppers, "an ensemble needs a stepper"
        self._steppers, self._combine = list(steppers), COMBINATIONS[combination]

    def admit(self, requests: Sequence[Request], rows_per_entry: int = 1) -> None:
        """See Stepper."""
        for stepper in self._steppers:
            stepper.admit(requests, rows_per_entry)

    def step(self, ids_R: Tensor) -> Tensor:
        """See Stepper. The logits that it returns are log-probabilities."""
        return self._average([stepper.step(ids_R) for stepper in self._steppers])

    def _average(self, logits: Sequence[Tensor]) -> Tensor:
        log_probs = [
            model_logits.to(logits[0].device).log_softmax(dim=-1) for model_logits in logits
        ]
        return self._combine(torch.stack(log_probs))

    def reorder(self, rows: Sequence[int], rows_per_entry: int = 1) -> None:
        """See Reorderable."""
        for stepper in self._steppers:
            stepper.reorder(rows, rows_per_entry)

    def extend(self, ids_RT: Tensor, counts: Sequence[int]) -> Tensor:
        """See RewindingStepper."""
        return self._average(
            [stepper.extend(ids_RT, counts) for stepper in self._rewinding_steppers()]
        )

    def rewind(self, counts: Sequence[int]) -> None:
        """See RewindingStepper."""
        for stepper in self._rewinding_steppers():
            stepper.rewind(counts)

    def _rewinding_steppers(self) -> Iterator[RewindingStepper]:
        for stepper in self._steppers:
            assert isinstance(stepper, RewindingStepper)
            yield stepper
