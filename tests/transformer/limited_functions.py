"""Functions for the limited process to run: harmless ones, and what strangers might do."""

import os
import resource
import signal
import sys
import time
from pathlib import Path


def echo(value: object) -> object:
    return value


def length(text: str) -> int:
    return len(text)


def pid() -> int:
    return os.getpid()


def has_module(name: str) -> bool:
    return name in sys.modules


def burn(seconds: float) -> float:
    began = time.process_time()
    while time.process_time() - began < seconds:
        pass
    return seconds


def allocate(mebibytes: int) -> int:
    return len(bytearray(mebibytes << 20))


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def die(number: int) -> None:
    os.kill(os.getpid(), number)
    signal.pause()


def leave(code: int) -> None:
    os._exit(code)


def fail(message: str) -> None:
    raise ValueError(message)


def fail_silently() -> None:
    raise LookupError


def recurse() -> None:
    recurse()


def talk() -> str:
    """Write to everything that may be a standard stream, and read."""
    print("noise", flush=True)
    os.write(1, b"noise")
    os.write(2, b"noise")
    return sys.stdin.read()


def descriptors() -> list[str]:
    """Return the files that are open, but for the folder that is being listed."""
    folder = Path("/proc/self/fd")
    return [str(link.readlink()) for link in folder.iterdir() if link.exists()]


def limits() -> list[int]:
    return [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_CORE, resource.RLIMIT_DATA)]
