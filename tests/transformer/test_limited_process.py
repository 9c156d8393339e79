"""The limited process: results, limits, deaths, and that it never harms the caller."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from transformer import limited_process
from transformer.limited_process import LimitedProcessError, Limits, run_limited, stop_child

pytestmark = pytest.mark.integration

FUNCTIONS = "tests.transformer.limited_functions"


def call(name: str, *args: Any, **limits: Any) -> Any:
    return run_limited(f"{FUNCTIONS}:{name}", *args, limits=Limits(**limits))


def reason(name: str, *args: Any, **limits: Any) -> str:
    with pytest.raises(LimitedProcessError) as caught:
        call(name, *args, **limits)
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize("value", [None, [1, 2.5, "ä\ud800\n"], {"a": [True]}, "x" * 5_000_000])
def test_values_come_back(value: Any) -> None:
    assert call("echo", value) == value


def test_the_process_is_another_one_without_torch_and_is_kept() -> None:
    assert call("pid") != os.getpid()
    assert call("pid") == call("pid")
    assert "torch" in sys.modules
    assert not call("has_module", "torch")


@pytest.mark.parametrize(
    ("name", "args", "limits", "expected"),
    [
        ("burn", [60], {}, "it takes more than 1 s of CPU time"),
        pytest.param(
            *("burn", [60], {"cpu_seconds": 2}, "it takes more than 2 s of CPU time"),
            marks=pytest.mark.slow,
        ),
        ("allocate", [300], {}, "it takes more than 256 MiB of memory"),
        ("allocate", [80], {"memory_mib": 64}, "it takes more than 64 MiB of memory"),
        ("sleep", [60], {"wall_seconds": 0.5}, "it takes more than 0.5 s"),
        ("die", [signal.SIGKILL], {}, "its process ended with SIGKILL"),
        ("die", [signal.SIGSEGV], {}, "its process ended with SIGSEGV"),
        ("leave", [3], {}, "its process ended with code 3"),
    ],
)
def test_a_process_that_dies_is_replaced(
    name: str, args: list[Any], limits: dict[str, Any], expected: str
) -> None:
    before = call("pid")
    assert reason(name, *args, **limits) == expected
    assert call("pid") != before
    with pytest.raises(ProcessLookupError):  # no zombie
        os.kill(before, 0)


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("fail", ["a\n\x1b[31m b"], "a [31m b"),
        ("fail", ["a" * 10_000], "a" * 200),
        ("fail_silently", [], "LookupError"),
        ("recurse", [], "maximum recursion depth exceeded"),
    ],
)
def test_a_function_that_fails_does_so_in_a_line(name: str, args: list[Any], expected: str) -> None:
    before = call("pid")
    assert reason(name, *args) == expected
    assert call("pid") == before


def test_limits_are_those_of_each_call() -> None:
    assert call("allocate", 200) == 200 << 20
    assert call("allocate", 300, memory_mib=400) == 300 << 20
    assert call("burn", 1.5, cpu_seconds=2) == 1.5
    assert call("limits", memory_mib=100) == [0, 100 << 20]
    call("pid", memory_mib=48)
    assert call("length", "x" * 40_000_000) == 40_000_000


@pytest.mark.slow
def test_cpu_time_does_not_add_up() -> None:
    before = call("pid")
    for _ in range(500):
        call("burn", 0.0025)
    assert call("pid") == before


def test_a_process_that_died_between_calls_is_replaced() -> None:
    before = call("pid")
    os.kill(before, signal.SIGKILL)
    time.sleep(0.2)
    assert call("pid") != before


def test_a_function_writes_to_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    assert call("talk") == ""
    assert capfd.readouterr() == ("", "")


def test_the_process_inherits_no_files(tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        stop_child()
        kinds = sorted(name.partition(":")[0] for name in call("descriptors"))
    assert kinds == ["/dev/null"] * 3 + ["socket"]


def test_threads_get_their_own_answers() -> None:
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda i: call("echo", i), range(200))) == [*range(200)]


def test_where_nothing_can_be_started_a_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    stop_child()
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert reason("pid").startswith("no process can be started: [Errno 2]")


def test_without_limits_functions_run_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limited_process, "HAS_LIMITS", False)
    assert call("pid") == os.getpid()
    assert reason("fail", "no") == "no"


CALL = f"""
import os, signal, sys, time
from transformer.limited_process import LimitedProcessError, Limits, run_limited
def call(name, *args): return run_limited("{FUNCTIONS}:" + name, *args)
"""


def program(code: str, **options: Any) -> "subprocess.Popen[str]":
    """Start a program of its own, in a group of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", CALL + code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


def ends(pid: int) -> bool:
    """Return whether a process ends soon; one that nobody has waited for yet has ended."""
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def test_ctrl_c_leaves_the_next_call_its_own_answer() -> None:
    code = """
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell ignores it
print(call("pid"), flush=True)
try:
    call("sleep", 30)
except KeyboardInterrupt:
    print(call("echo", "after"))
"""
    with program(code) as running:
        assert running.stdout
        child = int(running.stdout.readline())
        time.sleep(0.5)
        os.killpg(running.pid, signal.SIGINT)
        assert running.communicate(timeout=20) == ("after\n", "")
    assert running.returncode == 0
    assert ends(child)


def test_ctrl_c_between_calls_does_not_reach_the_process() -> None:
    code = """
signal.signal(signal.SIGINT, lambda *_: None)
before = call("pid")
os.killpg(0, signal.SIGINT)
time.sleep(0.2)
print(call("pid") == before)
"""
    with program(code) as running:
        assert running.communicate(timeout=20) == ("True\n", "")


def test_a_fork_starts_its_own() -> None:
    code = """
before = call("pid")
if fork := os.fork():
    print(os.waitpid(fork, 0)[1], call("pid") == before)
else:
    sys.exit(call("pid") in {before, os.getpid()})
"""
    with program(code) as running:
        assert running.communicate(timeout=20) == ("0 True\n", "")


@pytest.mark.parametrize(
    "end", ["", "sys.exit(3)", "os._exit(0)", "os.kill(os.getpid(), signal.SIGKILL)", "1 / 0"]
)
def test_the_process_ends_with_its_parent(end: str) -> None:
    with program(f'print(call("pid"), flush=True)\n{end}') as running:
        out, _ = running.communicate(timeout=20)
    assert ends(int(out))


def test_closed_streams_do_no_harm(tmp_path: Path) -> None:
    code = f"""
with open({str(tmp_path / "out")!r}, "w") as file:
    file.write(call("echo", "fine"))
"""
    shell = ["sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, CALL + code]
    subprocess.run(shell, check=True, timeout=20)
    assert (tmp_path / "out").read_text() == "fine"
