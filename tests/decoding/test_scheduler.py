"""The scheduler: what is submitted, cancelled and reported, and when."""

import threading
import time

import pytest
import torch

from tests.decoding.tables import END, TableStepper
from transformer.decoding import SEARCHES, Engine, Request, RequestFinished, Scheduler, TokenEvent

A = 1


def forever(tokens):
    return {A: 1.0}


def engine(table=forever) -> Engine:
    search = SEARCHES["greedy"](end_ids=frozenset({END})).build()
    return Engine(TableStepper(table, size=4), search)


def request(limit: int, **fields) -> Request:
    return Request(prompt=[3], source=[1], max_new_tokens=limit, **fields)


def test_a_stream_has_each_token_and_the_end() -> None:
    with Scheduler([engine()], budget=9) as scheduler:
        streamed, silent = request(3, stream=True), request(2)
        scheduler.submit([streamed, silent])
        events = list(scheduler.events())
    tokens = [event for event in events if isinstance(event, TokenEvent)]
    assert [(event.request, event.id) for event in tokens] == [(streamed, A)] * 3
    finished = [event.request for event in events if isinstance(event, RequestFinished)]
    assert finished == [silent, streamed]


def test_what_is_first_is_decoded_first() -> None:
    """One row at a time; the first request runs until the others have come."""
    begun, come = threading.Event(), threading.Event()

    def wait_for_others(_: object) -> bool:
        begun.set()
        return not come.wait(timeout=60)

    with Scheduler([engine()], budget=1) as scheduler:
        running, late, urgent = request(2, stop=wait_for_others), request(1), request(1)
        scheduler.submit([running])
        assert begun.wait(timeout=60)
        scheduler.submit([late])
        scheduler.submit([urgent], first=True)
        come.set()
        events = [event for event in scheduler.events() if isinstance(event, RequestFinished)]
    assert [event.request for event in events] == [running, urgent, late]


@pytest.mark.parametrize("waits", [False, True])
def test_a_cancelled_request_frees_its_rows_and_is_not_heard_of_again(waits: bool) -> None:
    endless, short = request(10**6, stream=True), request(5)
    with Scheduler([engine()], budget=1 if waits else 9) as scheduler:
        scheduler.submit([endless])
        scheduler.wait()
        scheduler.submit([short])
        victim, survivor = (short, None) if waits else (endless, short)
        scheduler.cancel(victim)
        scheduler.cancel(victim)  # nothing is left to cancel
        if survivor is None:
            assert scheduler.num_waiting == 0
            scheduler.cancel(endless)
        assert [event.request for event in scheduler.events()] == [survivor] * (not waits)
        assert scheduler.wait() == []  # no request is open


def test_what_a_request_has_finished_with_is_not_heard_once_it_is_cancelled() -> None:
    with Scheduler([engine()], budget=9) as scheduler:
        scheduler.submit([short := request(1, stream=True)])
        while not scheduler._events:  # not read yet
            time.sleep(0.001)
        scheduler.cancel(short)
        assert list(scheduler.events()) == []


def test_leaving_stops_the_engines_and_empties_them() -> None:
    made, before = [engine(), engine()], threading.active_count()
    with Scheduler(made, budget=9) as scheduler:
        scheduler.submit([request(10**6) for _ in range(9)])
        scheduler.wait(0.05)
    assert threading.active_count() == before
    assert all(not each.search.requests and not each.stepper.written for each in made)


def test_what_goes_wrong_in_an_engine_is_raised_to_the_consumer() -> None:
    def broken(tokens):
        raise RuntimeError("no table")

    with Scheduler([engine(broken)], budget=9) as scheduler:
        scheduler.submit([request(1)])
        with pytest.raises(RuntimeError, match="no table"):
            list(scheduler.events())


def test_waiting_ends_with_the_time() -> None:
    def slow(tokens):
        released.wait()
        return {A: 1.0}

    released = threading.Event()
    with Scheduler([engine(slow)], budget=9) as scheduler:
        scheduler.submit([request(1)])
        scheduler.wait()  # until it enters the batch
        assert scheduler.wait(0.01) == []
        released.set()
        assert len(list(scheduler.events())) == 1


def test_the_same_request_twice_is_refused() -> None:
    with Scheduler([engine()], budget=9) as scheduler, pytest.raises(ValueError, match="twice"):
        scheduler.submit([again := request(1), again])


@pytest.mark.parametrize("how", ["cancel", "close"])
@pytest.mark.parametrize("consume", ["wait", "events"])
def test_a_consumer_does_not_wait_for_what_another_thread_has_ended(how: str, consume: str) -> None:
    def slow(tokens):
        time.sleep(0.01)
        return {A: 1.0}

    scheduler, endless = Scheduler([engine(slow)], budget=9), request(10**6)
    with scheduler:
        scheduler.submit([endless])
        scheduler.wait()  # until it enters
        other = threading.Timer(
            0.05,
            scheduler.close if how == "close" else scheduler.cancel,
            [endless][how == "close" :],
        )
        other.start()
        assert list(scheduler.events() if consume == "events" else scheduler.wait()) == []
        other.join()
    assert scheduler.wait() == [] and list(scheduler.events()) == []
    with pytest.raises(ValueError, match="closed"):
        scheduler.submit([request(1)])


def test_a_cancelled_request_cannot_come_again_while_it_leaves() -> None:
    held, running = threading.Event(), threading.Event()

    def slow(tokens):
        running.set()
        held.wait()
        return {A: 1.0}

    with Scheduler([engine(slow)], budget=9) as scheduler:
        scheduler.submit([endless := request(10**6)])
        running.wait()
        scheduler.cancel(endless)
        with pytest.raises(ValueError, match="twice"):
            scheduler.submit([endless])
        held.set()


def test_a_lone_request_has_all_threads_and_several_engines_one_each() -> None:
    before, seen = torch.get_num_threads(), []

    def watched(tokens):
        seen.append(torch.get_num_threads())
        return forever(tokens)

    with Scheduler([engine(watched), engine(watched)], budget=1, threads=2) as scheduler:
        for count, threads in ((1, 2), (6, 1), (1, 2)):
            scheduler.submit([request(3) for _ in range(count)])
            list(scheduler.events())
            assert seen[0] == threads
            seen.clear()
    torch.set_num_threads(before)


def test_the_number_of_threads_is_as_before_once_no_scheduler_runs() -> None:
    before = torch.get_num_threads()
    seen = []
    with Scheduler([engine(), engine()], budget=9, threads=2) as outer:
        outer.submit([request(3), request(3)])
        list(outer.events())
        with Scheduler([engine(), engine()], budget=9, threads=2) as inner:
            inner.submit([request(1)])
            list(inner.events())
        reader = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    reader.start()
    reader.join()
    assert seen == [2]
    torch.set_num_threads(before)
