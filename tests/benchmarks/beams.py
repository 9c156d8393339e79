"""Bookkeeping of beam search: what a step costs beside the model and the whole vocabulary.

python -m tests.benchmarks.beams [--beam 5] [--threads 1]

A stepper whose logits cost nothing stands in for the model. From each step's time goes that of its
operations over the vocabulary: of its top-k, and of a log-softmax of the same logits after it.
Either all texts go on, or some end in each step and others take their places.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from transformer.decoding import SEARCHES, Request
from transformer.kernels.topk import blockwise_top_k

VOCABULARY, END, STEPS = 64, 0, 60
NEVER, OFTEN = 0.0, 0.06  # share of rows whose next token is the end token, all but surely


class RandomStepper:
    """Logits of a few random tensors, in turn."""

    def __init__(self, rows: int, ending: float) -> None:
        self.rows = self.steps = 0
        generator = torch.Generator().manual_seed(1)
        self.logits = [2 * torch.randn(rows, VOCABULARY, generator=generator) for _ in range(31)]
        for logits_RV in self.logits:
            ends_R = torch.rand(rows, generator=generator) < ending
            logits_RV[:, END] = torch.where(ends_R, 20.0, -50.0)

    def admit(self, requests: Sequence[Request], rows_per_entry: int = 1) -> None:
        self.rows += len(requests) * rows_per_entry

    def step(self, ids_R: Tensor) -> Tensor:
        assert len(ids_R) == self.rows
        self.steps += 1
        return self.logits[self.steps % len(self.logits)][: self.rows]

    def reorder(self, rows: Sequence[int], rows_per_entry: int = 1) -> None:
        self.rows = len(rows)


class Stopwatch:
    """A function, and the seconds that its calls have taken."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.seconds = function, 0.0

    def __call__(self, *values: Any) -> Any:
        started = time.perf_counter()
        result = self.function(*values)
        self.seconds += time.perf_counter() - started
        return result


def bookkeeping(texts: int, beam: int, ending: float) -> tuple[float, float]:
    """Median milliseconds of bookkeeping a step, and texts that ended a step."""
    search = SEARCHES["beam"](end_ids=frozenset({END}), beam=beam).build()
    stepper, seen, ended = RandomStepper(texts * beam, ending), [], 0
    for step in range(STEPS):
        if missing := texts - len(search.requests):
            ended += missing if step else 0
            requests = [Request(prompt=[1], max_new_tokens=4 * STEPS) for _ in range(missing)]
            stepper.admit(requests, search.width)
            search.add(requests)
        whole, top_k = Stopwatch(search.step), Stopwatch(blockwise_top_k)
        with patch.object(sys.modules[type(search).__module__], "blockwise_top_k", top_k):
            whole(stepper)
        log_softmax = Stopwatch(torch.log_softmax)
        log_softmax(stepper.logits[stepper.steps % len(stepper.logits)], -1)
        seen.append(whole.seconds - top_k.seconds - log_softmax.seconds)
    return statistics.median(seen) * 1000, ended / STEPS


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    table = Table("texts", "end a step", "ms a step", title=f"{asked.beam} beams")
    for texts in (64, 256):
        for ending in (NEVER, OFTEN):
            with torch.inference_mode():
                rounds = [bookkeeping(texts, asked.beam, ending) for _ in range(asked.rounds)]
            milliseconds = statistics.median(ms for ms, _ in rounds)
            table.add_row(str(texts), f"{rounds[0][1]:.1f}", f"{milliseconds:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
