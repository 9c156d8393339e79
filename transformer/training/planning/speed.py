"""Time of a training step on this machine, from a few that are thrown away."""

import statistics
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from ...config import TransformerConfig
from ...data import Batch, Data
from ...heads import HEADS
from ...initialization import initialize
from ...inputs import ModelInputs
from ...memory import release_freed_memory
from ...model import Transformer
from ..adaptation import attach_stand_in
from ..recipe import Recipe
from ..trainer import Trainer

_WARM_UP = 2  # steps, in which kernels are chosen and memory is taken
_STEPS = 5  # measured, at most
MAX_SECONDS = 3.0  # that measuring takes, about


class StepTime(NamedTuple):
    """Seconds of a step: of most steps, and of the fastest, which other programs disturb least."""

    median: float
    fastest: float


class RandomBatches:
    """Data of one batch again and again: rows of random ids, all of one length.

    Of the tokens of a row, a share is `predicted`; where rows are sources, so long are the targets.
    """

    batches_per_epoch = 1

    def __init__(
        self, config: TransformerConfig, *, length: int, max_tokens: int, predicted: float = 1.0
    ) -> None:
        length = max(2, min(length, config.shorter_positions))
        shape = (max(1, max_tokens // length), length)
        generator = torch.Generator().manual_seed(0)
        ids_BT = source_BS = torch.randint(config.vocab_size, shape, generator=generator)
        has_source = config.shape == "encoder-decoder"
        if has_source:
            ids_BT = source_BS[:, : max(1, round(predicted * length))]
        targets = HEADS[config.head].example_targets(config, ids_BT)
        total = targets.numel()
        count = total if has_source else max(1, round(predicted * total))
        self._batch = Batch(
            inputs=ModelInputs(ids_BT, source=ModelInputs(source_BS) if has_source else None),
            targets=targets,
            predicted_N=None if count == total else torch.arange(count),
            num_targets=count,
            rows=np.arange(len(ids_BT)),
        )

    def batch(self, number: int) -> Batch:
        """See Data."""
        del number
        return self._batch

    def num_targets(self, number: int) -> int:
        """See Data."""
        del number
        return self._batch.num_targets

    def describe(self, number: int) -> str:
        """See Data."""
        del number
        return "random ids"

    def in_order(self) -> Iterator[Batch]:
        """See Data."""
        yield self._batch


def measure_step(
    config: TransformerConfig,
    recipe: Recipe,
    data: Data,
    *,
    device: torch.device,
    seconds: float = MAX_SECONDS,
) -> StepTime:
    """Return the time of a step, from a few on the data's first batches, in about `seconds`.

    The memory that they took is given back, as what is free is told and compared later.
    """
    try:
        return _measure(config, recipe, data, device=device, seconds=seconds)
    finally:
        if device.type == "cpu":
            release_freed_memory()


def _measure(
    config: TransformerConfig, recipe: Recipe, data: Data, *, device: torch.device, seconds: float
) -> StepTime:
    model = Transformer(config)
    initialize(model, seed=recipe.seed)
    measured_recipe = attach_stand_in(model, recipe)
    trainer = Trainer(model.to(device), data, measured_recipe)
    measured: list[float] = []
    started = time.perf_counter()
    for number in range(_WARM_UP + _STEPS):
        before = time.perf_counter()
        trainer.step()
        trainer.reports(flush=True)  # waits for the device
        if number >= _WARM_UP or before - started > seconds:
            measured.append(time.perf_counter() - before)
        if measured and time.perf_counter() - started > seconds:
            break
    return StepTime(statistics.median(measured), min(measured))
