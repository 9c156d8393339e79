"""Losses of one text by kind of attention: a recipe trained with each, at equal size and steps.

python -m tests.benchmarks.kinds --text shakespeare.txt [--steps 600] [--seeds 3]

The packaged recipe `shakespeare-characters`, but with texts of 256 characters, four in a batch.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.choices import transduce

CONTEXT, ROWS = 256, 4
LAYERS = '["{0}", "{0}", "{0}", "{1}"]'  # of the recipe's four
# What each run sets of [model]; sizes below the context, so that the kinds differ from full.
KINDS = {
    "full": [],
    "sliding, 64": ["attention=sliding", "window=64"],
    "sliding, 16": ["attention=sliding", "window=16"],
    "strided, 16": ["attention=strided", "stride=16"],
    "fixed, 16, 4 shown": ["attention=fixed", "stride=16", "summary_tokens=4"],
    "linear": ["attention=linear"],
    "linear-decay": ["attention=linear-decay"],
    "performer, 64": ["attention=performer", "random_features=64"],
    "ssru": ["attention=ssru"],
    "3 sliding of 16, 1 full": [f"layers={LAYERS.format('sliding', 'full')}", "window=16"],
    "3 linear, 1 full": [f"layers={LAYERS.format('linear', 'full')}"],
}


def train(text: Path, kind: str, steps: int, seed: int) -> tuple[float, float]:
    """Train one run; return the best validation loss, in nats a character, and its seconds."""
    keys = {"training.context": CONTEXT, "training.batch_tokens": CONTEXT * ROWS}
    settings = [f"{key}={value}" for key, value in keys.items()]
    settings += [f"model.{setting}" for setting in KINDS[kind]]
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        transduce(
            *("train", "shakespeare-characters", "--text", text, "-o", folder + "/run", "-q"),
            *("--steps", steps, "--seed", seed),
            *(word for setting in settings for word in ("--set", setting)),
        )
        seconds = time.monotonic() - started
        measured = json.loads(transduce("evaluate", "-m", folder + "/run", "--json"))
    return float(measured["loss"]), seconds


def main() -> None:
    """Train all kinds, seed by seed, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    losses: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for seed in range(1, options.seeds + 1):
        for kind, seen in losses.items():
            loss, seconds = train(options.text, kind, options.steps, seed)
            seen.append(loss)
            print(f"{kind}, seed {seed}: {loss:.4f} in {seconds:.0f} s", flush=True)
    table = Table(title=f"validation loss after {options.steps:,} steps, nats a character")
    for heading in ("", "mean", "spread"):
        table.add_column(heading, justify="right" if heading else "left")
    for kind, seen in losses.items():
        spread = statistics.stdev(seen) if len(seen) > 1 else 0.0
        table.add_row(kind, f"{statistics.mean(seen):.3f}", f"{spread:.3f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
