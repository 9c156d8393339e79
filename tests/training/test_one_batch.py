"""Every objective, with every shape that fits, learns one batch by heart."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tests.training.toys import toy_recipe
from transformer.data import Batch, Data
from transformer.training.network import network, network_config
from transformer.training.objectives import OBJECTIVES, TRAIN
from transformer.training.preparation import Preparation
from transformer.training.recipe import Recipe
from transformer.training.trainer import Trainer

CASES = [(name, shape) for name, one in OBJECTIVES.items() for shape in one.shapes]


class Repeated:
    """The first batch of some data, again and again."""

    batches_per_epoch = 1

    def __init__(self, data: Data) -> None:
        self._first = data.batch(0)

    def batch(self, number: int) -> Batch:
        del number
        return self._first

    def num_targets(self, number: int) -> int:
        del number
        return self._first.num_targets

    def describe(self, number: int) -> str:
        return f"batch {number}"

    def in_order(self) -> Iterator[Batch]:
        yield self._first


def trainer_of(recipe: Recipe, folder: Path) -> Trainer:
    """A trainer of a new network on the first batch of a recipe's text."""
    folder.mkdir()
    preparation = Preparation(recipe, folder, resuming=False, initial=None)
    preparation.check()
    with preparation.spool:
        texts = preparation.texts()
        list(preparation.events(texts))
    labels = preparation.labels()
    texts = replace(texts, labels=() if labels is None else labels.head_names)
    data = preparation.open(texts, TRAIN)
    assert data is not None
    config = network_config(recipe, texts.tokenizer, None, folder, None, labels=labels)
    return Trainer(network(config, None, seed=1), Repeated(data), recipe)


@pytest.mark.parametrize(("objective", "shape"), CASES)
def test_one_batch_is_learnt_by_heart(tmp_path: Path, objective: str, shape: str) -> None:
    recipe = toy_recipe(
        tmp_path, objective, shape=shape, steps=250, learning_rate=1e-2, batch_tokens=64,
        label_smoothing=0.0, warmup=5, schedule="constant",
    )  # fmt: skip
    model = {**recipe.model, "d_model": 32, "d_ff": 64}
    model |= dict.fromkeys(("dropout", "attention_dropout", "activation_dropout"), 0.0)
    trainer = trainer_of(msgspec.structs.replace(recipe, model=model), tmp_path / "run")
    losses: list[float] = []
    while len(losses) < 250 and (not losses or losses[-1] > 0.05):
        trainer.step()
        losses += [report.loss for report in trainer.reports(flush=True)]
    assert losses[-1] <= 0.05 < losses[0]
