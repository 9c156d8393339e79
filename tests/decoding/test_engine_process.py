"""Engines in processes of their own: what they answer, and how they end."""

import os
import select
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from cli.errors import exit_code
from tests.decoding.tables import END, TableStepper
from transformer.decoding import SEARCHES, Engine, Request, RequestFinished, Scheduler, TokenEvent
from transformer.decoding import scheduler as scheduling
from transformer.decoding.engine_process import EngineProcess
from transformer.errors import LostProcessError

pytestmark = pytest.mark.skipif(not EngineProcess.is_possible(), reason="no process is forked here")
HERE = os.getpid()
A, B, C = 1, 2, 3


def by_process(steps: tuple[int, int]) -> Callable[[object], dict[int, float]]:
    """A table: A in the process of the test, B in any other.

    If there is another, the former waits until that has begun to step, which it says by a pipe.
    """
    (heard, said), before = steps, children()

    def table(_tokens: object) -> dict[int, float]:
        if os.getpid() != HERE:
            os.write(said, b".")
            return {B: 1.0}
        if children() - before:
            assert select.select([heard], [], [], 60)[0]
        return {A: 1.0}

    return table


@pytest.fixture
def table():
    pipe = os.pipe()
    yield by_process(pipe)
    for end in pipe:
        os.close(end)


@pytest.fixture
def engine(table) -> Callable[..., Engine]:
    def build(own=table) -> Engine:
        search = SEARCHES["greedy"](end_ids=frozenset({END})).build()
        return Engine(TableStepper(own, size=4), search)

    return build


def request(limit: int = 3, **fields) -> Request:
    return Request(prompt=[3], source=[1], max_new_tokens=limit, **fields)


@pytest.fixture(autouse=True)
def _few_are_many(monkeypatch) -> None:
    monkeypatch.setattr(scheduling, "_MANY", 2)


def children() -> set[str]:
    """The processes that this one has forked and not yet waited for."""
    pids: set[str] = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):  # of a thread that has just ended
            pids.update((task / "children").read_text().split())
    return pids


@pytest.fixture(autouse=True)
def _none_is_left():
    before = children()
    yield
    assert children() == before


def decoded(scheduler: Scheduler, requests: list[Request]) -> list[list[int]]:
    """The ids of each request's text, each of which ends once."""
    scheduler.submit(requests)
    events = [event for event in scheduler.events() if isinstance(event, RequestFinished)]
    found = {event.request: event.hypotheses[0].ids for event in events}
    assert len(events) == len(found)
    return [found[each] for each in requests]


def test_many_requests_are_decoded_in_several_processes(engine) -> None:
    requests = [request(limit) for limit in (1, 2, 3, 4, 5, 6, 7, 8)]
    with Scheduler([engine(), engine(), engine()], budget=2, processes=True) as scheduler:
        found = decoded(scheduler, requests)
        again = decoded(scheduler, [request()])
    assert [len(ids) for ids in found] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert all(len(set(ids)) == 1 for ids in found)
    assert {ids[0] for ids in found} == {A, B}
    assert again[0] in ([A] * 3, [B] * 3)


@pytest.mark.parametrize("processes", [False, True])
def test_few_requests_stay_in_one_process(monkeypatch, processes: bool, engine) -> None:
    monkeypatch.setattr(scheduling, "_MANY", 7 if processes else 2)
    with Scheduler([engine(), engine()], budget=1, processes=processes) as scheduler:
        assert decoded(scheduler, [request() for _ in range(6)]) == [[A] * 3] * 6


def test_nothing_is_forked_while_another_scheduler_computes(engine) -> None:
    own = Scheduler([engine(), engine()], budget=1, processes=True)
    with Scheduler([engine()], budget=1), own:
        assert decoded(own, [request() for _ in range(6)]) == [[A] * 3] * 6


def test_where_there_can_be_no_more_processes_there_are_threads(monkeypatch, engine) -> None:
    def refuse() -> int:
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(os, "fork", refuse)
    with Scheduler([engine(), engine()], budget=1, processes=True) as scheduler:
        assert decoded(scheduler, [request() for _ in range(6)]) == [[A] * 3] * 6


def test_requests_with_functions_stay_where_these_are(engine) -> None:
    def never(_state) -> bool:
        return False

    requests = [request(stop=never if number % 2 else None) for number in range(12)]
    with Scheduler([engine(), engine()], budget=1, processes=True) as scheduler:
        assert [B] * 3 in decoded(scheduler, [request() for _ in range(6)])
        found = decoded(scheduler, requests)
    assert found[1::2] == [[A] * 3] * 6


def test_where_requests_have_functions_all_engines_are_threads(engine) -> None:
    made = [engine(), engine()]
    with Scheduler(made, budget=1, processes=True) as scheduler:
        found = decoded(scheduler, [request(stop=lambda _state: False) for _ in range(20)])
    assert found == [[A] * 3] * 20
    assert all(each.stepper.steps for each in made)


def test_many_requests_may_come_after_few(monkeypatch, engine) -> None:
    monkeypatch.setattr(scheduling, "_MANY", 8)
    with Scheduler([engine(), engine()], budget=1, processes=True) as scheduler:
        assert decoded(scheduler, [request() for _ in range(5)]) == [[A] * 3] * 5
        assert [B] * 3 in decoded(scheduler, [request() for _ in range(20)])


def test_a_lone_request_is_the_first_engines(engine) -> None:
    with Scheduler([engine(), engine()], budget=1, processes=True) as scheduler:
        assert [B] * 3 in decoded(scheduler, [request() for _ in range(9)])
        with scheduler._changed:  # nothing else takes it meanwhile
            scheduler.submit([request()])
            assert scheduler._take_waiting(scheduler._processes[0], [], 9) == []
        assert [event.hypotheses[0].ids for event in scheduler.events()] == [[A] * 3]


class UnsendableError(Exception):
    """One that is made of two things, which it does not keep."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


def test_an_error_that_cannot_be_sent_is_told(engine) -> None:
    def broken(tokens) -> dict[int, float]:
        if os.getpid() == HERE:
            time.sleep(0.02)  # for the other to begin
            return {A: 1.0}
        raise UnsendableError("this", "that")

    made = Scheduler([engine(broken), engine(broken)], budget=1, processes=True)
    with made, pytest.raises(RuntimeError, match="UnsendableError: this and that"):
        decoded(made, [request() for _ in range(8)])


def test_children_that_nobody_waits_for_are_no_error(engine) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with Scheduler([engine(), engine()], budget=1, processes=True) as scheduler:
            assert len(decoded(scheduler, [request() for _ in range(8)])) == 8
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_tokens_of_a_stream_come_from_any_process(engine) -> None:
    requests = [request(2, stream=True) for _ in range(8)]
    with Scheduler([engine(), engine()], budget=1, processes=True) as scheduler:
        scheduler.submit(requests)
        tokens = [event for event in scheduler.events() if isinstance(event, TokenEvent)]
    assert sorted(map(id, [event.request for event in tokens])) == sorted([*map(id, requests)] * 2)
    assert {event.id for event in tokens} == {A, B}


def test_what_goes_wrong_in_a_process_is_raised_to_the_consumer(engine) -> None:
    def broken(tokens) -> dict[int, float]:
        if os.getpid() == HERE:
            time.sleep(0.02)  # for the other to begin
            return {A: 1.0}
        raise RuntimeError("no table")

    made = Scheduler([engine(broken), engine(broken)], budget=1, processes=True)
    with made, pytest.raises(RuntimeError, match="no table"):
        decoded(made, [request() for _ in range(8)])


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (signal.SIGKILL, "was ended by signal 9; if memory ran out, lower --batch-tokens$"),
        (signal.SIGUSR1, f"was ended by signal {int(signal.SIGUSR1)}$"),
    ],
)
def test_a_process_that_is_killed_is_an_error_in_a_line(number, message, engine) -> None:
    def killed(tokens) -> dict[int, float]:
        if os.getpid() != HERE:
            os.kill(os.getpid(), number)
        time.sleep(0.02)  # for the other to begin
        return {A: 1.0}

    made = Scheduler([engine(killed), engine(killed)], budget=1, processes=True)
    with made, pytest.raises(LostProcessError, match=message) as caught:
        decoded(made, [request() for _ in range(8)])
    assert exit_code(caught.value) == 1


def test_cancelled_requests_leave_a_process(engine) -> None:
    endless = [request(10**6) for _ in range(4)]
    with Scheduler([engine(), engine()], budget=2, processes=True) as scheduler:
        scheduler.submit(endless)
        while scheduler.num_waiting:
            scheduler.wait(0.01)
        for each in endless:
            scheduler.cancel(each)
        found = decoded(scheduler, [request(limit) for limit in (1, 2, 3, 4)])
    assert [len(ids) for ids in found] == [1, 2, 3, 4]


def test_leaving_ends_the_processes(engine) -> None:
    before, own = threading.active_count(), children()
    with Scheduler([engine(), engine()], budget=2, processes=True) as scheduler:
        scheduler.submit([request(10**6) for _ in range(9)])
        while not children() - own:
            scheduler.wait(0.05)
        assert len(children() - own) == 1
    assert threading.active_count() == before


def test_an_interrupt_is_left_to_the_parent(engine) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # be it ignored, as behind &
    process = EngineProcess(engine())
    signal.signal(signal.SIGINT, before)
    process.admit([own := request(1)])
    os.kill(process._pid, signal.SIGINT)
    assert [event.request for event in process.step()][-1] is own
    process.close()


def test_an_engine_is_told_of_requests_with_the_next_step(engine) -> None:
    process = EngineProcess(engine())
    first, second, third = request(1), request(2), request(3)
    process.admit([first, second, third])
    process.remove([third])  # before it has entered
    assert process.requests == [first, second]
    assert [event.request for event in process.step()][-1] is first
    process.remove([second])
    process.admit([third])
    assert process.requests == [third]
    events = [event for _ in range(3) for event in process.step()]
    assert {event.request for event in events} == {third} and process.step() == []
    process.close()
