"""An engine in a process of its own.

Threads take turns at Python, which is a third of a step of a small model. A process that is forked
shares the weights and has a Python of its own.
"""

import gc
import os
import pickle
import signal
import sys
import warnings
from collections.abc import Collection, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from typing import Any

import torch

from ..errors import LostProcessError
from .engine import Engine
from .request import Event, Request, RequestFinished

# Requests that enter, by their numbers, and numbers of those that leave: one step follows.
_Changes = tuple[dict[int, Request], list[int]]


def is_portable(request: Request) -> bool:
    """Return False for a request with functions, which stay in their process."""
    return request.constraint is None and request.stop is None


class EngineProcess:
    """A copy of an empty engine, in a process that computes with one thread.

    Has the methods of an engine. The thread that makes it must be the only one that is using torch:
    a lock that another holds would stay locked in the new process. Raises OSError where there can
    be no more processes.
    """

    def __init__(self, engine: Engine) -> None:
        self.width = engine.width
        self._open: dict[int, Request] = {}
        self._last = 0
        self._changes: _Changes = ({}, [])
        self._connection, theirs = Pipe()
        self._pid = _fork()
        if self._pid == 0:
            self._connection.close()
            _serve(engine, theirs)
        theirs.close()

    @staticmethod
    def is_possible() -> bool:
        """Return True on a system where a process that has used torch may be forked."""
        return sys.platform == "linux"

    @property
    def requests(self) -> list[Request]:
        """Unfinished requests."""
        return list(self._open.values())

    def can_take(self, request: Request) -> bool:
        """Return False for a request that cannot be sent to the process."""
        return is_portable(request)

    def admit(self, requests: Sequence[Request]) -> None:
        """See Engine; they enter with the next step."""
        for request in requests:
            self._last += 1
            self._open[self._last] = self._changes[0][self._last] = request

    def remove(self, requests: Collection[Request]) -> None:
        """See Engine; they leave with the next step."""
        leaving = [number for number, request in self._open.items() if request in requests]
        for number in leaving:
            del self._open[number]
            if self._changes[0].pop(number, None) is None:
                self._changes[1].append(number)

    def step(self) -> list[Event]:
        """See Engine. Raises its error, or LostProcessError where the process is gone."""
        if not self._open:
            return []
        changes, self._changes = self._changes, ({}, [])
        try:
            self._connection.send(changes)
            answer: list[tuple[Any, ...]] | Exception = self._connection.recv()
        except (EOFError, OSError) as error:
            raise LostProcessError(self._end()) from error
        if isinstance(answer, Exception):
            raise answer
        events = [kind(self._open[number], *rest) for kind, number, *rest in answer]
        for kind, number, *_ in answer:
            if kind is RequestFinished:
                del self._open[number]
        return events

    def _end(self) -> str:
        """Wait for the end of the process, and return a sentence about it."""
        code = 0
        with suppress(ChildProcessError):  # where nobody waits for children, SIGCHLD is ignored
            code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        self._pid = 0
        how = f"was ended by signal {-code}" if code < 0 else f"ended with status {code}"
        advice = "; if memory ran out, lower --batch-tokens" if code == -signal.SIGKILL else ""
        return f"a process that was decoding {how}{advice}"

    def close(self) -> None:
        """End the process, after its present step.

        Closing the connection would not do: processes that were forked later have it open, too.
        """
        if self._pid:
            with suppress(OSError):
                self._connection.send(None)
            self._end()
        self._connection.close()


def _fork() -> int:
    """Fork; Ctrl-C is for the parent to answer, and stays blocked in the child."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    pid = -1
    try:
        with warnings.catch_warnings():  # Python 3.12 warns of any other thread
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        return pid
    finally:
        if pid != 0:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(engine: Engine, connection: Connection) -> None:
    """Answer each message with the events of a step, or an error; never return.

    Nothing that is left in a buffer of the parent's output may be written a second time, so the
    process ends at once.
    """
    status = 1
    try:
        gc.freeze()  # objects that are looked at would be copied
        torch.set_num_threads(1)
        _serve_steps(engine, connection)
        status = 0
    except (EOFError, OSError):  # the parent is gone
        status = 0
    finally:
        os._exit(status)


@torch.inference_mode()
def _serve_steps(engine: Engine, connection: Connection) -> None:
    requests: dict[int, Request] = {}
    while (changes := connection.recv()) is not None:
        try:
            answer: object = _step(engine, requests, *changes)
        except Exception as error:
            answer = _portable(error)
        connection.send(answer)


def _portable(error: Exception) -> Exception:
    """Return an error, or what it says where it cannot be sent."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  # our own
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _step(
    engine: Engine, requests: dict[int, Request], entering: dict[int, Request], leaving: list[int]
) -> list[tuple[Any, ...]]:
    """Return events that are heard: class, number of the request, and other fields of each."""
    if leaving:
        engine.remove({requests.pop(number) for number in leaving})
    if entering:
        requests.update(entering)
        engine.admit(list(entering.values()))
    numbers = {request: number for number, request in requests.items()}
    events = engine.step()
    for event in events:
        if isinstance(event, RequestFinished):
            del requests[numbers[event.request]]
    heard = (e for e in events if isinstance(e, RequestFinished) or e.request.stream)
    return [(type(event), numbers[event.request], *event[1:]) for event in heard]
