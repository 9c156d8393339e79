"""This project's decoding of a batch, by one engine or by several."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial

import torch

from transformer.decoding import (
    Engine,
    ModelStepper,
    Request,
    RequestFinished,
    Scheduler,
    SearchParameters,
    decode_all,
)
from transformer.memory import keep_freed_memory, limit_kernel_caches
from transformer.model import Transformer


def compute_as_loaded(threads: int) -> None:
    """Keep memory and compiled kernels as programs that decode do, and use so many threads."""
    keep_freed_memory()
    limit_kernel_caches()
    torch.set_num_threads(threads)


def decoding(
    model: Transformer,
    parameters: SearchParameters,
    requests: Callable[[], list[Request]],
    *,
    engines: int,
    budget: int,
) -> Callable[[], list[Sequence[int]]]:
    """Return a run that decodes requests and returns their ids in order.

    Several engines have a core and a process each, as on the command line, and up to `budget`
    tokens of the requests at once; until this process ends, which can have no others.
    """
    if engines > 1:
        made = [Engine(ModelStepper(model), parameters.build()) for _ in range(engines)]
        scheduler = Scheduler(made, budget=budget, processes=True)
        ExitStack().enter_context(scheduler)  # until Python ends
        return partial(_decode_by, scheduler, requests)

    @torch.inference_mode()
    def decode() -> list[Sequence[int]]:
        found = decode_all(ModelStepper(model), parameters.build(), requests())
        return [best[0].ids for best in found]

    return decode


def _decode_by(scheduler: Scheduler, requests: Callable[[], list[Request]]) -> list[Sequence[int]]:
    tasks = requests()
    scheduler.submit(tasks)
    finished = [e for e in scheduler.events() if isinstance(e, RequestFinished)]
    ids = {event.request: event.hypotheses[0].ids for event in finished}
    return [ids[task] for task in tasks]


def counted(run: Callable[[], Sequence[Sequence[int]]]) -> Callable[[], int]:
    """Return a run that returns the number of its ids."""
    return lambda: sum(map(len, run()))
