"""Reading prompts: one instruction before many lines, and one long prompt; one core.

python -m tests.benchmarks.prompts

`write-small` with random weights. Lines are decoded greedily by a scheduler, with the instruction
read once and with each line; the long prompt is read in chunks and in one pass, each in a process
of its own, whose largest resident set is told above that before.
"""

import multiprocessing
import random
import statistics
import time
from collections.abc import Callable
from unittest import mock

import torch

from tests.benchmarks.long_texts import status_mib
from tests.benchmarks.measuring import rates
from transformer.decoding import Engine, ModelStepper, Request, RequestFinished, Scheduler
from transformer.decoding.search import GreedyParameters
from transformer.decoding.steppers import prefill, prefixes
from transformer.initialization import initialize
from transformer.kernels import LINEAR_KERNELS, bind_calls, pack_model
from transformer.memory import keep_freed_memory
from transformer.model import Transformer
from transformer.presets import preset_config

VOCABULARY, INSTRUCTION, LINES, WRITTEN, BUDGET = 8000, 300, 200, 20, 4096
LONG, ROUNDS, NEVER = 8000, 3, 1 << 30


def built(kernel: str | None = None, **fields: object) -> Transformer:
    """The network as it is loaded for inference; None: torch's own products."""
    config = preset_config("write-small", vocab_size=VOCABULARY, **fields)
    model = Transformer(config)
    initialize(model, seed=1)
    model.eval().requires_grad_(False)
    if kernel is not None:
        pack_model(model, LINEAR_KERNELS[kernel])
        bind_calls(model)
    return model


def requests() -> list[Request]:
    """Lines of 5 to 20 tokens behind one instruction."""
    draw = random.Random(1)
    instruction = draw.choices(range(4, VOCABULARY), k=INSTRUCTION)
    lines = [draw.choices(range(4, VOCABULARY), k=draw.randint(5, 20)) for _ in range(LINES)]
    return [Request(prompt=[*instruction, *line], max_new_tokens=WRITTEN) for line in lines]


def writer(model: Transformer, *, shared: bool) -> Callable[[], int]:
    """Write all lines; return their tokens."""

    def write() -> int:
        least = prefixes.MIN_SHARED if shared else NEVER
        engine = Engine(ModelStepper(model), GreedyParameters(end_ids=frozenset()).build())
        with (
            mock.patch.object(prefixes, "MIN_SHARED", least),
            Scheduler([engine], budget=BUDGET, threads=1) as scheduler,
        ):
            scheduler.submit(requests())
            finished = (e for e in scheduler.events() if isinstance(e, RequestFinished))
            return sum(len(event.hypotheses[0].ids) for event in finished)

    return write


def read_long(chunk: int) -> tuple[float, float]:
    """Seconds and MiB of reading one long prompt."""
    torch.set_num_threads(1)
    model = built(max_positions=LONG + 8)
    long = Request(prompt=[5] * (LONG + 1), max_new_tokens=4)
    with torch.inference_mode(), mock.patch.object(prefill, "CHUNK", chunk):
        ModelStepper(model).admit([Request(prompt=[5, 6, 7], max_new_tokens=4)])
        before, started = status_mib("VmHWM"), time.perf_counter()
        ModelStepper(model).admit([long])
        return time.perf_counter() - started, status_mib("VmHWM") - before


def main() -> None:
    """Print both."""
    torch.set_num_threads(1)
    keep_freed_memory()
    for kernel in ("onednn", "int8"):
        model = built(kernel)
        ways = {"each line": writer(model, shared=False), "once": writer(model, shared=True)}
        speed = rates(ways, rounds=ROUNDS)
        seconds = {way: LINES * WRITTEN / rate for way, rate in speed.items()}
        ratio = seconds["each line"] / seconds["once"]
        print(
            f"{kernel}: {LINES} lines behind {INSTRUCTION} tokens: {seconds['each line']:.1f} s; "
            f"read once {seconds['once']:.1f} s, {ratio:.1f} times as fast"
        )
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for way, chunk in (("one pass", NEVER), ("chunks", prefill.CHUNK)):
            runs = [pool.apply(read_long, (chunk,)) for _ in range(ROUNDS)]
            took, mib = (statistics.median(column) for column in zip(*runs, strict=True))
            print(f"{LONG:,} tokens in {way}: {took:.1f} s, {mib:,.0f} MiB")


if __name__ == "__main__":
    main()
