"""The training step, and the state that it changes."""

import math
import time
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from checkpoints import flatten_optimizer, load_tensors, save_tensors, unflatten_optimizer

from ..attention import RandomFeatures
from ..data import BatchLoader, Data
from ..model import Transformer
from .deferred_numbers import DeferredNumbers
from .objectives import OBJECTIVES
from .optimizers import EMA, OPTIMIZERS
from .precision import forward_precision, tf32_rounding
from .recipe import Recipe
from .schedules import SCHEDULES
from .trainable import TrainableSet
from .training_module import TrainingModule


def noise_seed(seed: int, step: int) -> int:
    """Mix a run's seed and a step into 64 bits.

    torch's generator on a CPU uses the lower 32 bits alone, so both must affect all of them.
    """
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0])


class StepReport(NamedTuple):
    """The result of a step that was applied."""

    step: int  # from 1
    loss: float  # cross-entropy in nats per target token, without label smoothing
    learning_rate: float
    gradient_norm: float  # before clipping
    tokens: int  # target tokens
    seconds: float


class SkippedStep(NamedTuple):
    """A step without effect on the weights, as its loss or gradient norm is not finite."""

    step: int
    loss: float
    gradient_norm: float
    batches: str  # the data in them


class _Pending(NamedTuple):
    """A step whose loss and gradient norm the host has not read yet."""

    step: int
    learning_rate: float
    tokens: int
    started: float


class Trainer:
    """A model, its optimizer and the moving average of its weights, trained step by step."""

    def __init__(self, model: Transformer, data: Data, recipe: Recipe) -> None:
        training = recipe.training
        self.model, self.data, self.recipe = model, data, recipe
        self.device = model.device
        objective = OBJECTIVES[recipe.objective]
        self.module = TrainingModule(model, objective, training.label_smoothing)
        self.schedule = SCHEDULES[training.schedule]
        self.trainable = TrainableSet.select(model, training)
        self.trainable.freeze_others(model)
        groups = self.trainable.groups(model, training.weight_decay)
        self.optimizer = OPTIMIZERS[training.optimizer].build(groups, training)
        self.ema = EMA(self.trainable.weights(model), training.ema) if training.ema else None
        # of attention that is trained: what is frozen stays as it is
        self._random_features = [
            module
            for name, module in model.named_modules()
            if isinstance(module, RandomFeatures)
            and f"{name.rpartition('.')[0]}.qkv.weight" in self.trainable.factors
        ]
        self.steps_done = 0
        self._loader = BatchLoader(data, accumulate=training.accumulate, device=self.device)
        self._numbers = DeferredNumbers(self.device)
        self._pending: deque[_Pending] = deque()
        self._last_read_at = 0.0
        if training.compile:  # the function, not the module, to keep the names of the weights
            object.__setattr__(model, "hidden", torch.compile(model.hidden, dynamic=True))

    def step(self) -> None:
        """Accumulate gradients over the step's micro-batches, then update the weights.

        Dropout is seeded from (seed, step), so that no generator state is carried between steps.
        Nothing is read from the device: `reports` returns the result later. If the loss or the
        gradient norm is not finite, weights, moments and averages do not change.
        """
        started = time.perf_counter()
        training, number = self.recipe.training, self.steps_done + 1
        self.model.train()
        torch.manual_seed(noise_seed(self.recipe.seed, number))
        for features in self._random_features:
            features.redraw_after(self.steps_done)
        tokens, batches = self._loader.step(self.steps_done)
        nats = torch.zeros((), dtype=torch.float64, device=self.device)
        with tf32_rounding(training.precision, self.device):
            for batch in batches:
                with self.forward_precision():
                    loss, plain = self.module(batch)
                (loss / tokens).backward()
                nats += plain
        rate = training.learning_rate * self.schedule(number, training.warmup, training.steps)
        norm = self._update(rate, nats)
        self.steps_done = number
        self._numbers.put(torch.stack([nats / tokens, norm.double()]))
        self._pending.append(_Pending(number, rate, tokens, started))

    def _update(self, rate: float, nats: Tensor) -> Tensor:
        """Update the weights and their average if the loss and the gradients are finite.

        Returns the gradient norm before clipping.
        """
        parameters = [p for p in self.model.parameters() if p.grad is not None]
        norm = get_total_norm([p.grad for p in parameters if p.grad is not None])
        if clip := self.recipe.training.clip:
            clip_grads_with_norm_(parameters, clip, norm)
        finite = (nats + norm).isfinite()
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        # fused optimizers read this on the device, without a host sync
        self.optimizer.found_inf = (~finite).float()  # type: ignore[attr-defined]
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.ema is not None:
            self.ema.update(self.model.state_dict(), self.steps_done + 1, finite)
        return norm

    def reports(self, *, flush: bool = False) -> list[StepReport | SkippedStep]:
        """Return the results of steps since the last call, in order.

        On a GPU the latest step is left for the next call, unless `flush`.
        """
        reports: list[StepReport | SkippedStep] = []
        for loss, norm in self._numbers.take(flush=flush):
            pending, now = self._pending.popleft(), time.perf_counter()
            seconds, self._last_read_at = now - max(pending.started, self._last_read_at), now
            if math.isfinite(loss + norm):
                step, rate, tokens, _ = pending
                reports.append(StepReport(step, loss, rate, norm, tokens, seconds))
            else:
                reports.append(SkippedStep(pending.step, loss, norm, self._describe(pending.step)))
        return reports

    def _describe(self, step: int) -> str:
        accumulate = self.recipe.training.accumulate
        return "; ".join(
            self.data.describe(n) for n in range((step - 1) * accumulate, step * accumulate)
        )

    def forward_precision(self) -> AbstractContextManager[None]:
        """Return the context in which forward passes have the recipe's precision."""
        return forward_precision(self.recipe.training.precision, self.device)

    @contextmanager
    def evaluating(self) -> Iterator[Transformer]:
        """Put the model into evaluation mode, with averaged weights if there are any."""
        trained_weights = None
        if self.ema is not None:
            own = self.trainable.weights(self.model)
            trained_weights = {name: w.clone() for name, w in own.items()}
            self.model.load_state_dict(self.ema.weights, strict=False)  # frozen ones stay
        self.model.eval()
        try:
            yield self.model
        finally:
            self.model.train()
            if trained_weights is not None:
                self.model.load_state_dict(trained_weights, strict=False)

    def save(self, folder: Path) -> None:
        """Save the state of training: weights, their average and the optimizer's moments."""
        save_tensors(folder / "weights.safetensors", self.trainable.saved(self.model))
        state: dict[int, Any] = self.optimizer.state_dict()["state"]
        save_tensors(folder / "optimizer.safetensors", flatten_optimizer(state))
        if self.ema is not None:
            save_tensors(folder / "average.safetensors", self.ema.weights)

    def restore(self, folder: Path, steps_done: int) -> None:
        """Restore the state that `save` wrote after `steps_done` steps."""
        self.trainable.restore(self.model, load_tensors(folder / "weights.safetensors"))
        state = self.optimizer.state_dict()
        state["state"] = unflatten_optimizer(load_tensors(folder / "optimizer.safetensors"))
        self.optimizer.load_state_dict(state)
        if self.ema is not None:
            saved = load_tensors(folder / "average.safetensors")
            for name, tensor in saved.items():
                self.ema.weights[name].copy_(tensor)
        self.steps_done = steps_done
