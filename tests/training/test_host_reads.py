"""A training step reads nothing from its device, so that a GPU never waits for the host."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.models import tiny_model
from tests.training.test_noise import TOKENS, every_data, pairs, windows
from tests.virtual_device import VirtualDevice, virtual_device
from transformer.attention import ATTENTION
from transformer.data import Data, PairData, WindowData
from transformer.positions import POSITIONS
from transformer.training import trainer as loop
from transformer.training.objectives import base
from transformer.training.optimizers import OPTIMIZERS
from transformer.training.recipe import PRECISION_NAMES, Recipe, TrainingRecipe
from transformer.training.trainer import Trainer

ALL = {"accumulate": 2, "ema": 0.9, "clip": 0.1, "label_smoothing": 0.1}
KINDS = [{}, {"clip": 0.0}, *({key: value} for key, value in ALL.items()), ALL]
SLIDING = {"attention": "sliding", "window": 4, "global_tokens": 2}
SPARSE = {"stride": 16, "summary_tokens": 2}
LONG = 240  # a sliding window comes in blocks above 2 · 64 tokens, sparse attention above 211


def long_windows(_folder: Path) -> WindowData:
    """Running text for which attention in blocks pays."""
    ids = np.random.default_rng(1).integers(TOKENS.start, TOKENS.stop, 2000).astype(np.uint16)
    return WindowData(ids, context=LONG, max_tokens=2 * LONG, seed=3)


def watched(data: Data, training: dict, *, steps: int = 3, **model: object) -> VirtualDevice:
    """The virtual device after steps of which the first is forgotten, for it makes the state of
    the optimizer and whatever is kept."""
    shape = "encoder-decoder" if isinstance(data, PairData) else "decoder"
    network = tiny_model(shape, **{"dropout": 0.1, "attention_dropout": 0.1, **model})
    recipe = Recipe(training=TrainingRecipe(steps=9, warmup=1, **training))
    with virtual_device() as device:
        trainer = Trainer(network.to("cuda"), data, recipe)
        trainer.step()
        device.reads.clear()
        device.uploads.clear()
        for _ in range(steps - 1):
            trainer.step()
        assert len(trainer.reports(flush=True)) == steps
    return device


@every_data
@pytest.mark.parametrize("training", KINDS, ids=str)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_step_reads_nothing(make, training, precision: str, tmp_path: Path) -> None:
    device = watched(make(tmp_path), {**training, "precision": precision})
    assert not device.reads
    assert not device.uploads  # but for batches, which are not waited for


@every_data
@pytest.mark.parametrize("precision", PRECISION_NAMES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_of_every_optimizer_reads_nothing(make, optimizer, precision, tmp_path) -> None:
    training = {"optimizer": optimizer, "precision": precision}
    assert not watched(make(tmp_path), training, steps=2).reads


@pytest.mark.parametrize("make", [pairs, long_windows])
@pytest.mark.parametrize("attention", [{}, SLIDING], ids=["full", "sliding"])
@pytest.mark.parametrize("positions", POSITIONS)
def test_a_step_with_every_kind_of_positions_reads_nothing(
    make, attention, positions: str, tmp_path: Path
) -> None:
    model = {"positions": positions, "max_positions": LONG, "kv_heads": 2, **attention}
    assert not watched(make(tmp_path), ALL, steps=2, **model).reads


@pytest.mark.parametrize("make", [pairs, long_windows])
@pytest.mark.parametrize("attention", ATTENTION)
def test_a_step_with_every_kind_of_attention_reads_nothing(make, attention, tmp_path) -> None:
    if attention == "longformer" and make is long_windows:
        pytest.skip("a decoder cannot have it; its blocks are in its own tests")
    model = {"positions": "rotary", "max_positions": LONG, "attention": attention, **SPARSE}
    assert not watched(make(tmp_path), ALL, steps=2, **model).reads


def test_the_batches_here_are_padded(tmp_path: Path) -> None:
    batches = list(pairs(tmp_path).in_order())
    assert any(batch.predicted_N is not None for batch in batches)
    assert any(batch.inputs.source.positions_BT is not None for batch in batches)


@pytest.mark.parametrize(
    ("module", "place"),
    [(base, "batch_loss"), (loop, "get_total_norm"), (loop, "clip_grads_with_norm_")],
    ids=str,
)
def test_a_read_anywhere_in_a_step_would_be_seen(
    module, place, tmp_path: Path, monkeypatch
) -> None:
    """One line for each place, as often as steps pass it."""
    plain = getattr(module, place)

    def reading(*arguments, **options):
        found = plain(*arguments, **options)
        looked_at = arguments[2] if found is None else found
        (looked_at[0] if isinstance(looked_at, tuple) else looked_at).item()
        return found

    monkeypatch.setattr(module, place, reading)
    device = watched(windows(tmp_path), ALL, steps=3)
    assert list(device.reads.values()) == [2 * (ALL["accumulate"] if "loss" in place else 1)]


def test_a_table_on_the_host_would_be_seen(tmp_path: Path, monkeypatch) -> None:
    def stranger(model, batch, **options):
        model.hidden(batch.inputs) + torch.zeros(model.config.d_model)

    monkeypatch.setattr(base, "batch_loss", stranger)
    with pytest.raises(RuntimeError, match="mixes devices at training/test_host_reads"):
        watched(windows(tmp_path), {})
