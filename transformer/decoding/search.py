"""Searches: from a step function to texts, many at once, which come and go."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from ..loading import LoadedModel
from ..tables import Table
from .beam import BeamSearch
from .contrastive import ContrastiveSearch
from .stepper import ModelStepper, Stepper
from .tasks import Event, Finished, Hypothesis, SearchOptions, Task
from .writing import PICKS, Writing


class Search(Protocol):
    """Texts that are being written. Each is independent of all others."""

    width: int  # rows of the stepper for each task
    reads_states: bool  # whether the stepper must be a StateStepper

    @property
    def tasks(self) -> list[Task]:
        """Those that are not finished, in the order of their rows."""
        ...

    def add(self, tasks: Sequence[Task]) -> None:
        """Begin texts, whose rows the stepper has admitted."""
        ...

    def step(self, stepper: Stepper) -> list[Event]:
        """Write one more token of each text, and leave the stepper with the rows that go on."""
        ...


SEARCHES: Table[Callable[[SearchOptions], Search]] = Table(
    "search",
    {
        **{name: partial(Writing, pick=pick) for name, pick in PICKS.items()},
        "beam": BeamSearch,
        "contrastive": ContrastiveSearch,
    },
)


class Engine(NamedTuple):
    """What writes: a search, and the step function that it asks."""

    stepper: Stepper
    search: Search


def plain_engine(loaded: LoadedModel, search: str, options: SearchOptions) -> Engine:
    """One model, and a search by its name in SEARCHES."""
    made = SEARCHES[search](options)
    return Engine(ModelStepper(loaded.model, keep_states=made.reads_states), made)


# Gives tasks to begin beside those that are running, if any are to begin now; None at the end.
Take = Callable[[Sequence[Task]], Sequence[Task] | None]


def run(stepper: Stepper, search: Search, take: Take) -> Iterator[list[Event]]:
    """Write texts as they come, and yield what each step decided: finished texts make room for
    waiting ones (continuous batching, Orca, OSDI 2022)."""
    while (tasks := take(search.tasks)) is not None or search.tasks:
        if tasks:
            stepper.admit(tasks, search.width)
            search.add(tasks)
        yield search.step(stepper) if search.tasks else []


def write(stepper: Stepper, search: Search, tasks: Sequence[Task]) -> list[list[Hypothesis]]:
    """Write all of these side by side; each task's hypotheses, best first."""
    waiting = [list(tasks)]
    steps = run(stepper, search, lambda _: waiting.pop() if waiting else None)
    events = (event for step in steps for event in step)
    found = {event.task: event.hypotheses for event in events if isinstance(event, Finished)}
    return [found[task] for task in tasks]


def deterministic_search(beams: int) -> str:
    """Which search a number of beams means, by its name in SEARCHES."""
    return "beam" if beams > 1 else "greedy"
