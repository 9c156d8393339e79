"""Toy text to train on in seconds: digits to words, and a counting rhyme."""

import random
from pathlib import Path
from typing import Any

from transformer.training.events import Event
from transformer.training.recipe import Recipe
from transformer.training.resolving import resolve_recipe
from transformer.training.run import Run

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


SMALL = {"d_model": 16, "d_ff": 32, "heads": 2, "dropout": 0.0}


def toy_recipe(folder: Path, objective: str = "translation", **training: Any) -> Recipe:
    """A recipe that trains in a second or two."""
    pairs = objective == "translation"
    data = write_pairs(folder) if pairs else write_text(folder)
    layers = {"encoder_layers": 1, "decoder_layers": 1} if pairs else {"decoder_layers": 1}
    fields = {
        "objective": objective,
        "data": {**data, "valid_fraction": 0.1, "max_tokens": 40},
        "tokenizer": {"kind": "char"},
        "model": {"preset": "translate-tiny" if pairs else "write-tiny", **SMALL, **layers},
        "training": {"steps": 8, "batch_tokens": 256, "context": 32, "warmup": 2, **training},
        "validation": {"every": 4},
    }
    return resolve_recipe(None, fields, [])


def train(recipe: Recipe, folder: Path, **options: Any) -> list[Event]:
    return list(Run(recipe, folder, device="cpu", **options).events())
