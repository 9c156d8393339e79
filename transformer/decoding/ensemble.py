"""Several models that write together.

Shape suffixes: N models, R rows, T tokens, V vocabulary.
"""

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from tokenizer import Tokenizer

from ..config import ConfigError
from ..loading import LoadedModel
from ..tables import Table
from .stepper import RewindingStepper, Stepper
from .tasks import Task


def _mean_probability(log_NRV: Tensor) -> Tensor:
    return log_NRV.logsumexp(dim=0) - math.log(len(log_NRV))


def _mean_log_probability(log_NRV: Tensor) -> Tensor:
    return log_NRV.mean(dim=0).log_softmax(dim=-1)


# From log-probabilities (N, …, V) to one model's (…, V): the mean of probabilities, which any model
# can hold up, or their geometric mean, against which each has a veto.
COMBINATIONS: Table[Callable[[Tensor], Tensor]] = Table(
    "combination of models",
    {"probability": _mean_probability, "log-probability": _mean_log_probability},
)


class EnsembleStepper:
    """Steppers whose distributions are averaged, each with the same weight. A RewindingStepper
    where all of them are."""

    def __init__(self, steppers: Sequence[Stepper], combination: str = "probability") -> None:
        assert steppers, "nothing to average"
        self._steppers, self._combine = list(steppers), COMBINATIONS[combination]

    def admit(self, tasks: Sequence[Task], copies: int = 1) -> None:
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


_FIELDS = ("shape", "vocab_size", "source_vocabulary")


def check_ensemble(models: Sequence[LoadedModel]) -> LoadedModel:
    """Raise ConfigError unless these models read and write the same tokens. Returns the one with
    the shortest context, whose limits texts must keep."""
    if not models:
        raise ConfigError("an ensemble needs at least one model")
    first, *others = models
    if not first.config.has_decoder:
        raise ConfigError(f"{first.folder} is an encoder, which writes nothing")
    for other in others:
        check_same_tokens(first, other, "be averaged")
    return min(models, key=lambda model: model.config.max_positions)


def check_same_tokens(first: LoadedModel, other: LoadedModel, purpose: str) -> None:
    """Raise ConfigError, which names the first difference, unless two models read and write the
    same tokens, framed in the same way."""
    pairs: list[tuple[str, object, object]] = [
        *((name, getattr(first.config, name), getattr(other.config, name)) for name in _FIELDS),
        ("the end token", set(first.generation.end_ids), set(other.generation.end_ids)),
        ("what stands around a text", first.tokenizer.frame(), other.tokenizer.frame()),
    ]
    if first.config.has_encoder:
        pairs.append(("the decoder's first token", first.start_id, other.start_id))
    found = next((f"{name} is {a}, {b}" for name, a, b in pairs if a != b), None)
    found = found or _other_piece(first.tokenizer, other.tokenizer)
    found = found or _other_piece(first.writer, other.writer)
    if found:
        raise ConfigError(f"{first.folder} and {other.folder} cannot {purpose}: {found}")


def _other_piece(first: Tokenizer, other: Tokenizer) -> str | None:
    """The lowest id that means something else."""
    if first is other:
        return None
    for token_id in range(max(first.largest_id, other.largest_id) + 1):
        one, two = first.token(token_id), other.token(token_id)
        if one != two:
            return f"token {token_id:,} is {one!r}, {two!r}"
    return None
