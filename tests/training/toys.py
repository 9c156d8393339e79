"""Toy text to train on in seconds: digits to words, and a counting rhyme."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.models import VOCABULARY
from transformer.data import Data, Framing, PairData, TokenStore, TokenWriter, WindowData
from transformer.data.batches import IndexArray
from transformer.presets import PRESETS
from transformer.training.events import Event
from transformer.training.objectives import OBJECTIVES
from transformer.training.recipe import Recipe
from transformer.training.recipe_resolution import resolve_recipe
from transformer.training.run import Run

FRAMING = Framing(start=1, source_after=(2,), target_after=(2,))  # as models trained here have it
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def write_pairs(folder: Path, lines: int = 120) -> dict[str, list[str]]:
    """`3 1` with `three one`: a translation that is learnt word for word."""
    chance = random.Random(1)
    rows = [[chance.randrange(10) for _ in range(chance.randint(1, 6))] for _ in range(lines)]
    source, target = folder / "toy.src", folder / "toy.trg"
    source.write_text("".join(" ".join(map(str, row)) + "\n" for row in rows))
    target.write_text("".join(" ".join(WORDS[n] for n in row) + "\n" for row in rows))
    return {"source": [str(source)], "target": [str(target)]}


def write_text(folder: Path, lines: int = 200) -> dict[str, list[str]]:
    """Counting up and around, over and over."""
    path = folder / "toy.txt"
    path.write_text("".join(f"{WORDS[n % 10]} then {WORDS[(n + 1) % 10]}.\n" for n in range(lines)))
    return {"text": [str(path)]}


def write_conversations(folder: Path, lines: int = 120) -> dict[str, list[str]]:
    """`3 1` is asked, `three one` is answered."""
    sides = [Path(path).read_text().splitlines() for (path,) in write_pairs(folder, lines).values()]
    records = [{"prompt": p, "completion": c} for p, c in zip(*sides, strict=True)]
    path = folder / "toy.jsonl"
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return {"conversations": [str(path)]}


def write_labelled(folder: Path, lines: int = 120) -> dict[str, list[str]]:
    """Rows of digits, and whether the first is even or odd."""
    (source,) = write_pairs(folder, lines)["source"]
    rows = Path(source).read_text().splitlines()
    path = folder / "toy.tsv"
    path.write_text("".join(f"{row}\t{'odd' if int(row[0]) % 2 else 'even'}\n" for row in rows))
    return {"labelled": [str(path)]}


def write_tagged(folder: Path, lines: int = 120) -> dict[str, list[str]]:
    """Rows of digits, of which the low and the high ones are spans."""
    (source,) = write_pairs(folder, lines)["source"]
    rows = [row.split() for row in Path(source).read_text().splitlines()]
    path = folder / "toy.conll"
    path.write_text("".join(f"{_tagged_row(row)}\n" for row in rows))
    return {"tagged": [str(path)]}


def _tagged_row(digits: Sequence[str]) -> str:
    return "".join(f"{d}\t{'B-low' if d < '3' else 'B-high' if d > '6' else 'O'}\n" for d in digits)


TEXTS = {
    "translation": write_pairs,
    "instructions": write_conversations,
    "classification": write_labelled,
    "tagging": write_tagged,
}


def store(folder: Path, rows: Sequence[Sequence[int]], vocab_size: int = VOCABULARY) -> TokenStore:
    """Rows of ids on disk."""
    with TokenWriter(folder, vocab_size=vocab_size) as writer:
        writer.write(rows)
    return TokenStore(folder)


def pair_data(folder: Path, *, rows: int = 40, budget: int = 24, seed: int = 7) -> PairData:
    """Random pairs for tiny models, in ragged batches of a few rows."""
    chance = random.Random(2)
    sides = [
        [
            [chance.randrange(3, VOCABULARY) for _ in range(chance.randint(1, 7))]
            for _ in range(rows)
        ]
        for _ in range(2)
    ]
    source, target = (store(folder / name, side) for name, side in zip("st", sides, strict=True))
    return PairData(source, target, framing=FRAMING, max_tokens=budget, seed=seed)


class Ragged(WindowData):
    """Windows of which every other batch has but one, so that batches differ in tokens."""

    def _starts(self, number: int) -> IndexArray:
        starts = super()._starts(number)
        return starts[:1] if number % 2 else starts

    def num_targets(self, number: int) -> int:
        """See Data."""
        return len(self._starts(number)) * self.context


def running_data(*, accumulate: int = 1) -> Data:
    """Random running text for tiny models."""
    chance = random.Random(3)
    ids = np.array([chance.randrange(VOCABULARY) for _ in range(150)], dtype=np.uint16)
    kind = Ragged if accumulate > 1 else WindowData
    return kind(ids, context=6, max_tokens=18, seed=7)


def recipe_of(objective: str = "translation", *, seed: int = 1, **training: Any) -> Recipe:
    """A recipe for a trainer whose model and data are made by hand."""
    return resolve_recipe(None, {"objective": objective, "seed": seed, "training": training}, [])


# Of noise, words are easier to learn than letters.
_TOKENIZERS = {
    "masked-lm": {"vocab_size": 60},
    "span-corruption": {"vocab_size": 160},
    "denoising": {"vocab_size": 60},
    "prefix-lm": {"vocab_size": 60},
}
_VERBS = {"encoder": "bert", "decoder": "write", "encoder-decoder": "translate"}
SMALL = {"d_model": 16, "d_ff": 32, "heads": 2, "dropout": 0.0}


def toy_recipe(
    folder: Path, objective: str = "translation", *, shape: str = "", **training: Any
) -> Recipe:
    """A recipe that trains in a second or two, of the objective's first shape or another."""
    data = TEXTS.get(objective, write_text)(folder)
    own = PRESETS[OBJECTIVES[objective].rules.presets[0]].fields["shape"]
    shape = shape or OBJECTIVES[objective].shapes[0]
    preset = OBJECTIVES[objective].rules.presets[0] if shape == own else f"{_VERBS[shape]}-tiny"
    sides = shape.split("-")
    layers = {f"{side}_layers": 1 for side in ("encoder", "decoder") if side in sides}
    fields = {
        "objective": objective,
        "data": {**data, "valid_fraction": 0.1, "max_tokens": 40},
        "tokenizer": _TOKENIZERS.get(objective, {"kind": "char"}),
        "model": {"preset": preset, **SMALL, **layers},
        "training": {"steps": 8, "batch_tokens": 256, "context": 32, "warmup": 2, **training},
        "validation": {"every": 4},
    }
    return resolve_recipe(None, fields, [])


def train(recipe: Recipe, folder: Path, **options: Any) -> list[Event]:
    return list(Run(recipe, folder, device="cpu", **options).events())
