"""Ten steps of the trainer equal ten of a plain loop, whose equations are written out here."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.models import tiny_model
from tests.training.toys import pair_data, recipe_of, running_data
from transformer.data import IGNORE, Batch, Data
from transformer.model import Transformer
from transformer.training.optimizers import OPTIMIZERS
from transformer.training.schedules import SCHEDULES
from transformer.training.trainer import StepReport, Trainer

STEPS = 10
BASE = {
    "steps": STEPS, "accumulate": 2, "learning_rate": 0.02, "schedule": "cosine", "warmup": 3,
    "weight_decay": 0.1, "beta1": 0.8, "beta2": 0.9, "adam_eps": 1e-3, "clip": 0.5,
    "label_smoothing": 0.2, "ema": 0.7,
}  # fmt: skip
CHANGES = [
    {},
    {"accumulate": 1},
    {"accumulate": 3},
    {"label_smoothing": 0.0},
    {"clip": 0.0},
    {"clip": 0.01},
    {"clip": 1e6},
    {"weight_decay": 0.0},
    {"beta1": 0.0},
    {"beta2": 0.999},
    {"adam_eps": 1e-6},  # below, keys' biases, whose gradient is 0, follow its rounding
    {"ema": 0.0},
    {"ema": 0.05},  # below the climbing decay of early steps
    {"warmup": 0},
    {"optimizer": "sgd"},
    *({"schedule": name} for name in SCHEDULES),
]

# The factor of the peak rate at step s of n, after w of warming up.
FACTORS = {
    "constant": lambda s, w, n: 1.0,
    "inverse-sqrt": lambda s, w, n: math.sqrt(max(1, w) / s),
    "noam": lambda s, w, n: math.sqrt(max(1, w) / s),
    "cosine": lambda s, w, n: (1 + math.cos(math.pi * (s - w) / (n - w))) / 2,
    "linear": lambda s, w, n: (n - s) / (n - w),
    "wsd": lambda s, w, n: 1 - math.sqrt(max(0, s - 0.8 * n) / (0.2 * n)),
}


def factor(name: str, step: int, warmup: int) -> float:
    return step / warmup if step < warmup else FACTORS[name](step, warmup, STEPS)


def sums(model: Transformer, batch: Batch, smoothing: float) -> tuple[Tensor, Tensor]:
    """The smoothed and the plain loss of all targets, token by token."""
    logits_BTV = model(batch.inputs)
    log_p_BTV = logits_BTV.log_softmax(dim=-1)
    smoothed = plain = torch.zeros((), dtype=torch.float64)
    for row, targets in enumerate(batch.targets.tolist()):
        for place, target in enumerate(targets):
            if target != IGNORE:
                nll = -log_p_BTV[row, place, target]
                plain = plain + nll
                smoothed = smoothed + (1 - smoothing) * nll
                smoothed = smoothed - smoothing * log_p_BTV[row, place].mean()
    return smoothed, plain


class ByHand:
    """The same training, one equation after another."""

    def __init__(self, model: Transformer, data: Data, training: Mapping[str, Any]) -> None:
        self.model, self.data, self.training = model, data, training
        self.named = dict(model.named_parameters())
        self.ragged = False  # whether batches of one step had different numbers of tokens
        self.first = {name: torch.zeros_like(w) for name, w in self.named.items()}
        self.second = {name: torch.zeros_like(w) for name, w in self.named.items()}
        self.average = {name: w.detach().clone() for name, w in self.named.items()}

    def step(self, step: int) -> tuple[float, float, float]:
        """Loss, rate and norm."""
        t, names = self.training, list(self.named)
        batches = [
            self.data.batch((step - 1) * t["accumulate"] + i) for i in range(t["accumulate"])
        ]
        tokens = sum(int((batch.targets != IGNORE).sum()) for batch in batches)
        self.ragged |= len({batch.num_targets for batch in batches}) > 1
        losses = [sums(self.model, batch, t["label_smoothing"]) for batch in batches]
        smoothed, plain = (sum(column) / tokens for column in zip(*losses, strict=True))
        gradients = torch.autograd.grad(smoothed, [self.named[name] for name in names])
        norm = math.sqrt(sum(float(g.square().sum()) for g in gradients))
        shrink = min(1.0, t["clip"] / (norm + 1e-6)) if t["clip"] else 1.0
        rate = t["learning_rate"] * factor(t["schedule"], step, t["warmup"])
        with torch.no_grad():
            for name, gradient in zip(names, gradients, strict=True):
                UPDATES[t.get("optimizer", "adamw")](self, name, shrink * gradient, rate, step)
            if t["ema"]:
                decay = min(t["ema"], (1 + step) / (10 + step))
                for name, average in self.average.items():
                    average.copy_(decay * average + (1 - decay) * self.named[name])
        return float(plain.detach()), rate, norm

    def adamw(self, name: str, gradient: Tensor, rate: float, step: int) -> None:
        """Matrices alone decay; arXiv 1711.05101, algorithm 2."""
        t, w = self.training, self.named[name]
        beta1, beta2 = t["beta1"], t["beta2"]
        if w.dim() > 1:
            w.mul_(1 - rate * t["weight_decay"])
        self.first[name] = beta1 * self.first[name] + (1 - beta1) * gradient
        self.second[name] = beta2 * self.second[name] + (1 - beta2) * gradient**2
        mean = self.first[name] / (1 - beta1**step)
        root = (self.second[name] / (1 - beta2**step)).sqrt()
        w.sub_(rate * mean / (root + t["adam_eps"]))

    def sgd(self, name: str, gradient: Tensor, rate: float, step: int) -> None:
        """Heavy-ball momentum, which begins with the first gradient."""
        t, w = self.training, self.named[name]
        if w.dim() > 1:
            gradient = gradient + t["weight_decay"] * w
        self.first[name] = gradient if step == 1 else t["beta1"] * self.first[name] + gradient
        w.sub_(rate * self.first[name])


UPDATES = {"adamw": ByHand.adamw, "sgd": ByHand.sgd}


def close(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, atol=1e-10, rtol=0)


@pytest.mark.parametrize(
    ("objective", "change"),
    [
        *(("translation", change) for change in CHANGES),
        *(("language-model", c) for c in CHANGES[:4]),
    ],
    ids=str,
)
def test_ten_steps_are_those_of_the_equations(tmp_path: Path, objective: str, change: dict) -> None:
    training = {**BASE, **change}
    pairs = objective == "translation"
    data = pair_data(tmp_path) if pairs else running_data(accumulate=training["accumulate"])
    shape = "encoder-decoder" if pairs else "decoder"
    ours, theirs = (
        tiny_model(shape, encoder_layers=int(pairs), decoder_layers=1, norm_placement="pre")
        .double()
        .train()
        for _ in range(2)
    )
    theirs.load_state_dict(ours.state_dict())
    trainer = Trainer(ours, data, recipe_of(objective, precision="float32", **training))
    by_hand = ByHand(theirs, data, training)
    for step in range(1, STEPS + 1):
        trainer.step()
        (report,) = trainer.reports()
        assert isinstance(report, StepReport)
        loss, rate, norm = by_hand.step(step)
        assert (report.step, report.learning_rate) == (step, pytest.approx(rate, abs=1e-15))
        assert report.loss == pytest.approx(loss, abs=1e-10)
        assert report.gradient_norm == pytest.approx(norm, abs=1e-10)
        close(dict(ours.named_parameters()), by_hand.named)
    assert by_hand.ragged == (training["accumulate"] > 1)
    if training["ema"]:
        assert trainer.ema is not None
        close(trainer.ema.weights, by_hand.average)


def test_every_schedule_and_optimizer_is_written_out_here() -> None:
    assert set(FACTORS) == set(SCHEDULES)
    assert set(UPDATES) == set(OPTIMIZERS)
