"""A model that writes a hundred thousand tokens: its speed as it goes, by kind of attention.

python -m tests.benchmarks.endless_text [--tokens 100000]

The preset `write-tiny` with random weights, one row, greedy. The kinds write in turns, so that
what else the machine does falls on all alike.
"""

import argparse
import time
from collections.abc import Iterator

import torch
from rich.console import Console
from rich.table import Table

from transformer.initialization import initialize
from transformer.memory import keep_freed_memory
from transformer.model import Transformer
from transformer.presets import preset_config

KINDS = {
    "sliding": {"window": 256},
    "sliding, 4 sinks": {"attention": "sliding", "window": 256, "global_tokens": 4},
    "linear": {},
    "linear-decay": {},
    "performer": {"random_features": 256},
    "ssru": {},
}
TURN, MARKS = 1000, (0.05, 0.1, 0.25, 0.5, 0.75, 1.0)


def write(kind: str, tokens: int) -> Iterator[float]:
    """Write turn by turn; yield the seconds of each."""
    fields = {"attention": kind, **KINDS[kind]}
    config = preset_config("write-tiny", vocab_size=256, max_positions=tokens, **fields)
    model = Transformer(config).eval()
    initialize(model, seed=1)
    cache, id_B1 = model.new_cache(1, tokens), torch.zeros(1, 1, dtype=torch.long)
    for start in range(0, tokens, TURN):
        started = time.perf_counter()
        with torch.inference_mode():
            for step in range(start, start + TURN):
                state_B1D = model.decode(id_B1, torch.tensor([[step]]), cache, step + 1)
                id_B1 = model.logits(state_B1D)[:, -1].argmax(dim=-1, keepdim=True)
        yield time.perf_counter() - started


def main() -> None:
    """Print tokens a second around each mark, and the last mark's share of the first's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=100_000)
    tokens = parser.parse_args().tokens
    torch.set_num_threads(1)
    keep_freed_memory()
    turns = zip(*(write(kind, tokens) for kind in KINDS), strict=True)
    seconds = list(zip(*turns, strict=True))
    table = Table(title="tokens/s, mean of the five turns of 1,000 tokens before")
    table.add_column("")
    for mark in MARKS:
        table.add_column(f"{int(mark * tokens):,}", justify="right")
    table.add_column("last / first", justify="right")
    for kind, seen in zip(KINDS, seconds, strict=True):
        ends = [int(mark * len(seen)) for mark in MARKS]
        rates = [5 * TURN / sum(seen[end - 5 : end]) for end in ends]
        table.add_row(kind, *(f"{rate:,.0f}" for rate in rates), f"{rates[-1] / rates[0]:.2f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
