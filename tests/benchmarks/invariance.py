"""Whether a line's translation depends on the lines beside it: shuffled, in batches of any size.

python -m tests.benchmarks.invariance MODEL FILE [--lines 500]
"""

import argparse
import random
from collections import Counter
from itertools import islice
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from tokenizer import TextFile, read_lines
from transformer.loading import LoadedModel, load_model
from transformer.pipelines.arguments import TranslateArguments
from transformer.pipelines.records import Answer, Line, LineSource
from transformer.pipelines.session import Session

BUDGETS = (1, 64, 512, 2048, 8192)  # tokens; 1 is a line at a time
SEARCHES = {"greedy": {"beam": 1}, "beam": {"beam": 4}, "sample": {"temperature": 1.0, "seed": 7}}


class Shuffled(LineSource):
    """Lines in an order of their own; each keeps the key of its noise in its fields."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = [Line(place, text) for place, text in enumerate(lines)]

    def take(self, limit: int, *, wait: bool) -> list[Line] | None:
        del wait
        taken, self.lines = self.lines[:limit], self.lines[limit:]
        return taken or None


def texts(
    loaded: LoadedModel, lines: list[str], order: list[int], name: str, *, budget: int, workers: int
) -> list[str]:
    """Translations in the file's order, of lines given in another."""
    asked = TranslateArguments(batch_tokens=budget, **SEARCHES[name])
    source = Shuffled([lines[n] for n in order])
    session = Session([loaded], max_engines=workers)
    answers: list[Answer] = list(session.translate(source, asked, Counter()))
    found = {n: answer.outputs[0].text for n, answer in zip(order, answers, strict=True)}
    return [found[n] for n in range(len(lines))]


def main() -> None:
    """Print how many lines differ from those translated one by one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("file")
    parser.add_argument("--lines", type=int, default=500)
    asked = parser.parse_args()
    torch.set_num_threads(2)
    lines = list(islice(read_lines(TextFile(asked.file, plain=True)), asked.lines))
    loaded = load_model(asked.model, device="cpu")
    table = Table(title=f"{len(lines):,} lines: how many differ from those translated one by one")
    table.add_column("batch, order")
    for name in SEARCHES:
        table.add_column(name, justify="right")
    order = list(range(len(lines)))
    orders = {"in order": order, "shuffled": random.Random(1).sample(order, len(order))}
    for title, some in orders.items():  # noise belongs to a line's number, and so to an order
        alone = {name: texts(loaded, lines, some, name, budget=1, workers=1) for name in SEARCHES}
        for budget in BUDGETS[1:]:
            cells = []
            for name in SEARCHES:
                found = texts(loaded, lines, some, name, budget=budget, workers=2)
                cells.append(str(sum(a != b for a, b in zip(found, alone[name], strict=True))))
            table.add_row(f"{budget:,} tokens, {title}", *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
