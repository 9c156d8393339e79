"""Functions that read untrusted data, run in a child process with limits of the system.

The child imports the function's module but not torch. It starts at the first call, serves all later
ones, and is replaced if it dies. Both sides send JSON, so no reply can run code here. Without the
module `resource` (Windows), functions run in this process, without limits.
"""

import atexit
import importlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

try:
    import resource
except ImportError:  # Windows
    HAS_LIMITS = False
else:
    HAS_LIMITS = True

_OUT_OF_MEMORY = 77  # exit code of the child


class LimitedProcessError(Exception):
    """A function that failed, died or exceeded a limit; the message is one printable line."""


class Limits(NamedTuple):
    """Resources that a call may use."""

    cpu_seconds: int = 1  # up to one more may pass: the system counts whole seconds of a process
    memory_mib: int = 256  # of which Python and its modules take some 20
    wall_seconds: float = 60.0  # with the start of the child, on a busy machine


DEFAULT_LIMITS = Limits()


def run_limited(function: str, *args: Any, limits: Limits = DEFAULT_LIMITS) -> Any:
    """Return the result of a function, named as `package.module:function`, run in the child.

    Arguments and result are values of JSON. Raises LimitedProcessError.
    """
    request = json.dumps([function, args, limits]).encode()
    reply = _call_child(request, limits) if HAS_LIMITS else _answer(request)
    succeeded, value = json.loads(reply)
    if not succeeded:
        raise LimitedProcessError(printable_line(value))
    return value


def printable_line(text: str) -> str:
    """Return the beginning of a text as one line without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[:1000]).split())[:200]


class _Child:
    """A process that answers calls, and the connection to it."""

    def __init__(self) -> None:
        # Where descriptors 0 to 2 are closed, the connection must not take their numbers.
        placeholders = [os.open(os.devnull, os.O_RDONLY) for _ in range(3)]
        self._connection, theirs = Pipe()
        for descriptor in placeholders:
            os.close(descriptor)
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-P", "-m", __name__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                start_new_session=True,  # Ctrl-C at a terminal is for the parent alone
            )

    def call(self, request: bytes, limits: Limits) -> bytes:
        """Return the reply to a request. Raises EOFError or OSError where there is none."""
        self._connection.send_bytes(request)
        if not self._connection.poll(limits.wall_seconds):
            raise TimeoutError
        return self._connection.recv_bytes(limits.memory_mib << 20)

    def stop(self) -> int:
        """Kill the process, unless it has ended by itself, and return its exit code."""
        self.process.kill()
        self._connection.close()
        return self.process.wait()


_child: _Child | None = None
_lock = threading.Lock()


def stop_child() -> int | None:
    """End the child, if there is one, and return its exit code; the next call starts another."""
    global _child
    child, _child = _child, None
    return None if child is None else child.stop()


atexit.register(stop_child)


def _call_child(request: bytes, limits: Limits) -> bytes:
    global _child  # noqa: PLW0603
    with _lock:
        if _child is not None and _child.process.poll() is not None:
            stop_child()
        try:
            _child = _child or _Child()
            return _child.call(request, limits)
        except (EOFError, OSError) as error:
            raise LimitedProcessError(_cause(error, stop_child(), limits)) from None
        except BaseException:  # Ctrl-C: no later call may read the reply that is still to come
            stop_child()
            raise


def _cause(error: Exception, code: int | None, limits: Limits) -> str:
    if code is None:
        return printable_line(f"no process can be started: {error}")
    if isinstance(error, TimeoutError):
        return f"it takes more than {limits.wall_seconds:g} s"
    if code == _OUT_OF_MEMORY:
        return f"it takes more than {limits.memory_mib} MiB of memory"
    if code == -signal.SIGXCPU:
        return f"it takes more than {limits.cpu_seconds} s of CPU time"
    return f"its process ended with {signal.Signals(-code).name if code < 0 else f'code {code}'}"


def _answer(request: bytes) -> bytes:
    """Make a call, in the child under its limits, and return the reply."""
    name, args, limits = json.loads(request)
    module, _, attribute = name.partition(":")
    function = getattr(importlib.import_module(module), attribute)
    if HAS_LIMITS:
        cpu_seconds, memory_mib, _ = limits
        _set_limit(resource.RLIMIT_CPU, math.ceil(time.process_time()) + cpu_seconds)
        _set_limit(resource.RLIMIT_DATA, memory_mib << 20)
    try:
        return json.dumps([True, function(*args)]).encode()
    except Exception as error:
        if HAS_LIMITS and isinstance(error, MemoryError):
            os._exit(_OUT_OF_MEMORY)
        return json.dumps([False, str(error) or type(error).__name__]).encode()


def _set_limit(kind: int, value: int | None = None) -> None:
    """Set a limit, or lift it, as far as the hard limit allows."""
    hard = resource.getrlimit(kind)[1]
    if value is None or resource.RLIM_INFINITY != hard < value:
        value = hard
    resource.setrlimit(kind, (value, hard))


def _serve(descriptor: int) -> None:
    """Answer calls until the parent is gone."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with Connection(descriptor) as parent, suppress(EOFError, OSError):
        while True:
            parent.send_bytes(_answer(parent.recv_bytes()))
            for kind in (resource.RLIMIT_CPU, resource.RLIMIT_DATA):  # the next call has its own
                _set_limit(kind)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
