"""Scheduling of requests over engines, with continuous batching (Orca, OSDI 2022)."""

import atexit
from collections import deque
from collections.abc import Iterator, Sequence
from threading import Condition, Lock, Thread
from typing import Self

import torch

from .engine import Engine
from .engine_process import EngineProcess, is_portable
from .request import Event, Request, RequestFinished

_MANY = 8  # open requests, from which processes are worth the copies of pages that they cost
_MIN_FREE_FRACTION = 0.25  # of the batch, before requests enter: entering copies the caches


class Scheduler:
    """Requests that engines decode side by side.

    Few are decoded by the first engine, with all threads; several by all, with one thread each.

    Waiting requests enter a batch in the order in which they were submitted, as finished ones make
    room. `budget` limits the tokens of an engine's batch, padding and beams included: of sources,
    or of prompts and new tokens. A request is its own handle. Any thread may submit and cancel; one
    consumes the events.
    """

    def __init__(
        self,
        engines: Sequence[Engine],
        *,
        budget: int,
        threads: int | None = None,
        processes: bool = False,
    ) -> None:
        """Prepare engines that compute with `threads` together, by default all that torch uses.

        With `processes`, all but the first run in processes of their own, if requests are without
        functions: no other thread may use torch, for one may hold a lock when they are forked.
        """
        self._engines, self._budget = engines, budget
        self._waiting: deque[Request] = deque()
        self._open: set[Request] = set()  # submitted, and neither finished nor cancelled
        self._cancelled: set[Request] = set()  # that are still in a batch
        self._events: deque[Event] = deque()
        self._progressed = self._closed = False
        self._error: BaseException | None = None
        self._changed = Condition()  # guards all of the above
        self._num_threads = torch.get_num_threads() if threads is None else threads
        self._threads: list[Thread] = []  # one for each engine that has begun
        self._may_fork = processes and EngineProcess.is_possible()
        self._processes: list[EngineProcess] = []

    def __enter__(self) -> Self:
        """Start the first engine."""
        _running.enter(self, self._num_threads)
        self._start(self._engines[0])
        return self

    def _start(self, engine: Engine | EngineProcess) -> None:
        thread = Thread(target=self._run, args=(engine,), daemon=True)
        with self._changed:  # it waits until it is known
            thread.start()
            self._threads.append(thread)

    def __exit__(self, *error: object) -> None:
        """Close the scheduler."""
        self.close()

    def close(self) -> None:
        """Stop the engines after their present step, and drop what is open."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        _running.leave(self)
        for process in self._processes:
            process.close()

    @property
    def num_waiting(self) -> int:
        """The number of requests that are in no batch yet."""
        return len(self._waiting)

    def submit(self, requests: Sequence[Request], *, first: bool = False) -> None:
        """Enqueue requests, with `first` ahead of those that wait.

        Raises ValueError for a request that is decoded already, and once closed.
        """
        new = set(requests)
        with self._changed:
            if self._closed:
                raise ValueError("the scheduler is closed")
            if len(new) < len(requests) or (self._open | self._cancelled) & new:
                raise ValueError("a request was submitted twice")
            self._open |= new
            if first:
                self._waiting.extendleft(reversed(requests))
            else:
                self._waiting.extend(requests)
            self._changed.notify_all()

    def cancel(self, request: Request) -> None:
        """Drop a request: it leaves its batch before the next step, and has no more events."""
        with self._changed:
            self._events = deque(event for event in self._events if event.request is not request)
            if request not in self._open:
                return
            self._open.remove(request)
            if request in self._waiting:
                self._waiting.remove(request)
            else:
                self._cancelled.add(request)
            self._changed.notify_all()

    def wait(self, timeout: float | None = None) -> list[Event]:
        """Return the events since the last call, once there are any or waiting requests enter.

        Returns none after `timeout` seconds, and where no request is open, be it that another
        thread has cancelled it or closed the scheduler. Raises an engine's error.
        """
        with self._changed:
            self._wait(timeout)
            events, self._events = self._events, deque()
            return list(events)

    def events(self) -> Iterator[Event]:
        """Yield events as they come, until no request is open. Raises an engine's error."""
        while True:
            with self._changed:
                self._wait(None)
                if not self._events and (self._closed or not self._open):
                    return
                event = self._events.popleft() if self._events else None
            if event is not None:
                yield event

    def _wait(self, timeout: float | None) -> None:
        """Wait for an event, or until waiting requests enter a batch."""
        self._changed.wait_for(
            lambda: self._events or self._progressed or self._closed or not self._open, timeout
        )
        if self._error is not None:
            raise self._error
        self._progressed = False

    @torch.inference_mode()
    def _run(self, engine: Engine | EngineProcess) -> None:
        """Run an engine until the scheduler is closed: the body of its thread."""
        try:
            while (changes := self._next_changes(engine)) is not None:
                torch.set_num_threads(self._threads_each())  # a setting of the thread
                entering, leaving = changes
                if leaving:
                    engine.remove(leaving)
                if entering:
                    engine.admit(entering)
                self._report(engine.step())
            engine.remove(engine.requests)
        except BaseException as error:
            with self._changed:
                self._error, self._progressed = error, True
                self._changed.notify_all()

    def _threads_each(self) -> int:
        return self._num_threads if len(self._threads) == 1 or len(self._open) <= 1 else 1

    def _start_others(self) -> None:
        """Start the other engines, from the first one's thread, once there is work for them."""
        if len(self._threads) == len(self._engines) or len(self._open) < 2:
            return
        may_fork = self._may_fork and _running.is_alone(self) and all(map(is_portable, self._open))
        if may_fork and len(self._open) < _MANY:
            return
        others = [self._in_process(e) if may_fork else e for e in self._engines[1:]]
        for engine in others:
            self._start(engine)

    def _in_process(self, engine: Engine) -> Engine | EngineProcess:
        """Return an engine's process, or the engine where there can be no more processes."""
        try:
            self._processes.append(EngineProcess(engine))
        except OSError:
            return engine
        return self._processes[-1]

    def _next_changes(
        self, engine: Engine | EngineProcess
    ) -> tuple[list[Request], list[Request]] | None:
        """Return the requests that enter and leave a batch, once it has any; None at the end."""
        running = engine.requests
        budget = max(1, self._budget // engine.width)
        with self._changed:
            while not self._closed:
                if engine is self._engines[0]:
                    self._start_others()
                leaving = [r for r in running if r in self._cancelled] if self._cancelled else []
                staying = [r for r in running if r not in self._cancelled] if leaving else running
                self._cancelled.difference_update(leaving)
                entering = self._take_waiting(engine, staying, budget)
                if running or entering:
                    return entering, leaving
                self._changed.wait()
        return None

    def _take_waiting(
        self, engine: Engine | EngineProcess, running: Sequence[Request], budget: int
    ) -> list[Request]:
        """Dequeue requests that fit in a batch, at most an engine's share of all open ones."""
        if len(self._open) == 1 and engine is not self._engines[0]:
            return []  # which has all threads for it
        longest = max(map(batch_cost, running), default=0)
        if running and len(running) > (1 - _MIN_FREE_FRACTION) * (budget // longest):
            return []
        rows, share = len(running), -(-len(self._open) // len(self._threads))
        entering: list[Request] = []
        while self._waiting and rows < share and engine.can_take(self._waiting[0]):
            longest = max(longest, batch_cost(self._waiting[0]))
            if rows and (rows + 1) * longest > budget:
                break
            entering.append(self._waiting.popleft())
            rows += 1
        if entering:
            self._progressed = True
            self._changed.notify_all()
        return entering

    def _report(self, events: Sequence[Event]) -> None:
        """Hand events to the consumer: finished requests, and tokens of those that stream."""
        wanted = [e for e in events if isinstance(e, RequestFinished) or e.request.stream]
        if not wanted:
            return
        with self._changed:
            self._events += (event for event in wanted if event.request in self._open)
            finished = {event.request for event in wanted if isinstance(event, RequestFinished)}
            self._open -= finished
            self._cancelled -= finished  # cancelled in its last step
            self._progressed = True
            self._changed.notify_all()


class _RunningSchedulers:
    """The schedulers whose engines compute, and the number of torch's threads without them.

    A thread that sets its number of threads changes it for all that begin later, so it is restored
    once no scheduler is running. When Python ends, threads inside torch would abort it.
    """

    def __init__(self) -> None:
        self._schedulers: set[Scheduler] = set()
        self._num_threads = 0
        self._lock = Lock()
        atexit.register(self._close)

    def enter(self, scheduler: Scheduler, num_threads: int) -> None:
        """Add a scheduler."""
        with self._lock:
            if not self._schedulers:
                self._num_threads = num_threads
            self._schedulers.add(scheduler)

    def is_alone(self, scheduler: Scheduler) -> bool:
        """Return True if no other scheduler's engines compute."""
        with self._lock:
            return self._schedulers == {scheduler}

    def leave(self, scheduler: Scheduler) -> None:
        """Remove a scheduler, if it is still there."""
        with self._lock:
            if scheduler in self._schedulers:
                self._schedulers.remove(scheduler)
                if not self._schedulers:
                    torch.set_num_threads(self._num_threads)

    def _close(self) -> None:
        for scheduler in list(self._schedulers):
            scheduler.close()


_running = _RunningSchedulers()


def batch_cost(request: Request) -> int:
    """Return the number of tokens for which a request counts in a batch."""
    return len(request.source) or len(request.prompt) + request.max_new_tokens
