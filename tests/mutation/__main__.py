"""`python -m tests.mutation [ROOM …]`: put each fault into a copy of the project, run its tests.

Ends with 1 where a fault is not noticed and is not listed as one that changes nothing.
"""

import argparse
import os
import queue
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .faults import Fault, read_rooms
from .running import Copy, Result, prepare


class Bench:
    """Copies of the project, which workers take in turn."""

    def __init__(self, folder: Path, jobs: int) -> None:
        self._copies: queue.Queue[Copy] = queue.Queue()
        for number in range(jobs):
            self._copies.put(Copy(folder / str(number)))
        self._pool = ThreadPoolExecutor(jobs)

    def limits(self, rooms: dict[str, list[Fault]]) -> dict[str, float]:
        """How long each room's tests may take with a fault. All must pass without one."""
        results = self._pool.map(self._whole, rooms.values())
        limits = {}
        for room, result in zip(rooms, results, strict=True):
            if result.noticed is not None:
                raise SystemExit(f"{room} fails without a fault: {result.noticed}")
            print(f"{room}: passes in {result.seconds:.0f} s", flush=True)
            limits[room] = 20 + 5 * result.seconds
        return limits

    def run(self, faults: Sequence[Fault], limits: dict[str, float]) -> int:
        """Print what became of each fault; how many are not as they should be."""
        bad = 0
        tries = self._pool.map(lambda fault: self._with(fault, limits[fault.room]), faults)
        for fault, result in zip(faults, tries, strict=True):
            good, said = _verdict(fault, result)
            bad += not good
            print(f"{result.seconds:4.0f} s  {fault.room}: {fault.wrong} — {said}", flush=True)
        return bad

    def _whole(self, faults: Sequence[Fault]) -> Result:
        tests = dict.fromkeys(test for fault in faults for test in fault.tests)
        copy = self._copies.get()
        try:
            return copy.test(list(tests))
        finally:
            self._copies.put(copy)

    def _with(self, fault: Fault, limit: float) -> Result:
        copy = self._copies.get()
        try:
            return copy.test_with(fault, limit=limit)
        finally:
            self._copies.put(copy)


def _verdict(fault: Fault, result: Result) -> tuple[bool, str]:
    if fault.equivalent is None:
        shown = "SURVIVED" if result.noticed is None else f"noticed: {result.noticed}"
        return result.noticed is not None, shown
    if result.noticed is None:
        return True, f"equivalent: {fault.equivalent}"
    return False, f"NOTICED by {result.noticed}, though it is said to change nothing"


def main() -> int:
    """Run the rooms that are named, or all."""
    rooms = read_rooms()
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"of: {', '.join(rooms)}")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--match", default="", help="only faults whose file or words hold this")
    given = parser.parse_args()
    if unknown := set(given.rooms) - rooms.keys():
        parser.error(f"no room is called {', '.join(sorted(unknown))}")
    chosen = {
        room: [f for f in faults if given.match in f"{f.file} {f.wrong}"]
        for room, faults in rooms.items()
        if not given.rooms or room in given.rooms
    }
    chosen = {room: faults for room, faults in chosen.items() if faults}
    prepare()
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        bench = Bench(Path(folder), given.jobs)
        faults = [fault for some in chosen.values() for fault in some]
        bad = bench.run(faults, bench.limits(chosen))
    print(f"{len(faults)} faults, {bad} not as they should be")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
