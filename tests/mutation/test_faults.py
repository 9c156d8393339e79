"""The list of faults fits the code: it cannot rot unnoticed between two runs of `make mutation`."""

import ast
from functools import lru_cache

import pytest

from tests.mutation.faults import ROOT, Fault, StaleFaultError, read_rooms

ROOMS = read_rooms()
FAULTS = [fault for faults in ROOMS.values() for fault in faults]


@lru_cache(maxsize=4)  # faults of one file follow one another
def _dumped(text: str) -> str:
    return ast.dump(ast.parse(text))


@pytest.mark.parametrize("room", ROOMS)
def test_faults_fit_their_files_and_leave_python(room: str) -> None:
    for fault in ROOMS[room]:
        whole = (ROOT / fault.file).read_text(encoding="utf-8")
        changed = fault.apply(whole)
        assert fault.old.count("\n") <= 2, fault  # a line, and as much as tells it from its likes
        assert ast.dump(ast.parse(changed)) != _dumped(whole), fault
        for test in fault.tests:
            assert (ROOT / test.partition("::")[0]).exists(), test


def test_no_fault_is_listed_twice() -> None:
    assert len({(fault.file, fault.old, fault.new) for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize("count", [0, 2])
def test_a_text_that_is_gone_or_not_alone_is_refused(count: int) -> None:
    fault = Fault("room", "file.py", "a + b", "a - b", "a sign", ())
    with pytest.raises(StaleFaultError, match=rf"'a \+ b' stands {count} times in file.py"):
        fault.apply("a + b\n" * count)
