"""Whether a line's translation depends on the lines beside it: shuffled, in batches of any size.

python -m tests.benchmarks.invariance MODEL FILE [--lines 500]
"""

import argparse
import random
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tokenizer import TextFile, read_lines
from transformer.decoding import SearchOptions
from transformer.loading import LoadedModel, load_model
from transformer.pipelines import Answer, Line, LineSource, TranslationOptions, translate
from transformer.pipelines.engines import plain_engine

BUDGETS = (1, 64, 512, 2048, 8192)  # tokens; 1 is a line at a time
SEARCHES = {"greedy": {}, "beam": {"beam": 4}, "sample": {"seed": 7}}


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
    options = SearchOptions(end_ids=frozenset(loaded.generation.end_ids), **SEARCHES[name])
    asked = TranslationOptions(search=name, options=options, batch_tokens=budget)
    engines = [plain_engine(loaded, name, options) for _ in range(workers)]
    answers: list[Answer] = list(
        translate(loaded, Shuffled([lines[n] for n in order]), asked, engines=engines)
    )
    found = {n: answer.outputs[0].text for n, answer in zip(order, answers, strict=True)}
    return [found[n] for n in range(len(lines))]


def main() -> None:
    """Print how many lines differ from those translated one by one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("file")
    parser.add_argument("--lines", type=int, default=500)
    asked = parser.parse_args()
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
