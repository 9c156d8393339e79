"""One step of training, and the state that steps change."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch

from checkpoints import flatten_optimizer, load_tensors, save_tensors, unflatten_optimizer

from ..data import Data
from ..evaluation import batch_loss
from ..model import Transformer
from .optimizers import OPTIMIZERS, RunningAverage, parameter_groups
from .recipe import Recipe
from .schedules import SCHEDULES


class StepReport(NamedTuple):
    """What one step did."""

    step: int  # from 1
    loss: float  # plain cross-entropy in nats a token, without smoothing
    learning_rate: float
    gradient_norm: float  # before clipping
    tokens: int  # target tokens
    seconds: float


class Trainer:
    """A model and all that changes with it from step to step."""

    def __init__(self, model: Transformer, data: Data, recipe: Recipe) -> None:
        training = recipe.training
        self.model, self.data, self.recipe = model, data, recipe
        self.device = model.embedding.weight.device
        self.schedule = SCHEDULES[training.schedule]
        groups = parameter_groups(model, training.weight_decay)
        self.optimizer = OPTIMIZERS[training.optimizer](groups, training)
        self.average = RunningAverage(model, training.ema) if training.ema else None
        self.steps_done = 0
        if training.compile:  # the function, not the module: names of weights stay as they are
            object.__setattr__(model, "hidden", torch.compile(model.hidden, dynamic=True))

    def step(self) -> StepReport:
        """Accumulate gradients over the step's batches, then update.

        Dropout is seeded from (seed, step), so that nothing random is carried from step to step.
        """
        started = time.perf_counter()
        training, number = self.recipe.training, self.steps_done + 1
        self.model.train()
        torch.manual_seed((self.recipe.seed << 32) + number)
        first = self.steps_done * training.accumulate
        batches = [self.data.batch(first + i) for i in range(training.accumulate)]
        tokens = sum(batch.target_tokens for batch in batches)
        nats = torch.zeros((), device=self.device)
        for batch in batches:
            with self.precision():
                loss, plain = batch_loss(
                    self.model, batch.to(self.device), smoothing=training.label_smoothing
                )
            (loss / tokens).backward()  # type: ignore[no-untyped-call]
            nats += plain
        parameters = self.model.parameters()
        norm = torch.nn.utils.clip_grad_norm_(parameters, training.clip or float("inf"))
        rate = training.learning_rate * self.schedule(number, training.warmup, training.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.steps_done = number
        if self.average is not None:
            self.average.update(self.model.state_dict().items(), number)
        plain_loss, gradient_norm = float(nats) / tokens, float(norm)  # waits for a GPU's queue
        seconds = time.perf_counter() - started
        return StepReport(number, plain_loss, rate, gradient_norm, tokens, seconds)

    def precision(self) -> torch.autocast:
        """Matrix products in the recipe's precision: auto is bfloat16 on a GPU."""
        wanted = self.recipe.training.precision
        half = wanted == "bfloat16" or (wanted == "auto" and self.device.type == "cuda")
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=half)

    @contextmanager
    def evaluating(self) -> Iterator[Transformer]:
        """The model as it will be used: averaged if it is to be, without dropout."""
        own = None
        if self.average is not None:
            own = {name: w.clone() for name, w in self.model.state_dict().items()}
            self.model.load_state_dict(self.average.weights)
        self.model.eval()
        try:
            yield self.model
        finally:
            self.model.train()
            if own is not None:
                self.model.load_state_dict(own)

    def save(self, folder: Path) -> None:
        """Write what the next step needs: weights, their average, the optimizer's moments."""
        save_tensors(folder / "weights.safetensors", self.model.state_dict())
        state: dict[int, Any] = self.optimizer.state_dict()["state"]
        save_tensors(folder / "optimizer.safetensors", flatten_optimizer(state))
        if self.average is not None:
            save_tensors(folder / "average.safetensors", self.average.weights)

    def restore(self, folder: Path, steps_done: int) -> None:
        """Go on from what `save` wrote after `steps_done` steps."""
        self.model.load_state_dict(load_tensors(folder / "weights.safetensors"))
        state = self.optimizer.state_dict()
        state["state"] = unflatten_optimizer(load_tensors(folder / "optimizer.safetensors"))
        self.optimizer.load_state_dict(state)
        if self.average is not None:
            saved = load_tensors(folder / "average.safetensors")
            for name, tensor in saved.items():
                self.average.weights[name].copy_(tensor)
        self.steps_done = steps_done
