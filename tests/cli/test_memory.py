"""Memory that is freed and asked for again, in a process of its own."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import torch
from cli.memory import reuse_memory

if {reuses}:
    reuse_memory()
block = 3_000_000  # numbers of 4 bytes

def touch():
    first, second, third, fourth = (torch.ones(block) for _ in range(4))

for _ in range(5):
    touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    touch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(*, reuses: bool) -> int:
    """Count the pages that the kernel had to give for 20 times four tensors of 12 MB."""
    program = [sys.executable, "-c", PROGRAM.format(reuses=reuses)]
    done = subprocess.run(program, check=True, capture_output=True, text=True)
    return int(done.stdout)


@pytest.mark.integration
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has other rules")
def test_a_freed_tensors_pages_serve_the_next_one() -> None:
    assert page_faults(reuses=True) * 10 < page_faults(reuses=False)
