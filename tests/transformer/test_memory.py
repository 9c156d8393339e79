"""Limits of kernel caches: set before torch computes, lower for training, a user's own left alone;
and the memory that they are for."""

import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.integration

NAMES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
SHOW = f"import os; print(*(os.environ[name] for name in {NAMES}))"
IMPORT = "import transformer, sys; assert 'torch' not in sys.modules; "
TRAIN = """
from pathlib import Path
import tempfile
from tests.training.toys import toy_recipe
from transformer.training.run import Run
folder = Path(tempfile.mkdtemp())
list(Run(toy_recipe(folder, steps=1), folder / "run", device="cpu").events())
"""
# As many shapes as steps; resident memory in MiB after 20 and after 60 of them.
SHAPES = """
from pathlib import Path
import torch
from transformer import Transformer, preset_config
from transformer.initialization import initialize
from transformer.inputs import ModelInputs
from transformer.memory import limit_kernel_caches
limit_kernel_caches(primitives=0)
torch.set_num_threads(1)
model = Transformer(preset_config("translate-tiny", vocab_size=500))
initialize(model, seed=1)
for step in range(60):
    ids_BT = torch.ones((8 + step % 40, 30 + step), dtype=torch.long)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        source = ModelInputs(ids_BT[:, : 20 + step])
        model.hidden(ModelInputs(ids_BT, source=source)).sum().backward()
    if step in (19, 59):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        print(pages * 4096 >> 20, torch.numel(ids_BT))
"""
# Resident memory in MiB that four tensors of 40 MB leave behind, before and after the call.
FREED = """
from pathlib import Path
import torch
from transformer.memory import keep_freed_memory
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 >> 20
def left():
    before = resident()
    tensors = [torch.ones(10_000_000) for _ in range(4)]
    del tensors
    return resident() - before
print(left())
keep_freed_memory()
print(left())
"""


def run(program: str, **environment: str) -> list[str]:
    kept = {k: v for k, v in os.environ.items() if k not in (*NAMES, "TRANSDUCE_KERNEL_LIMITS")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True, capture_output=True, text=True, env={**kept, **environment},
    )  # fmt: skip
    return done.stdout.split()


def test_limits_stand_before_torch_is_imported_and_are_the_users_where_given() -> None:
    assert run(IMPORT + SHOW) == ["128", "16"]
    assert run(IMPORT + SHOW, **{NAMES[0]: "7"}) == ["7", "16"]


@pytest.mark.slow
def test_training_keeps_no_kernels_in_a_child_that_inherits_limits() -> None:
    """It does not take them for a user's."""
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    program = f"import transformer, sys; sys.argv = ['', {TRAIN + SHOW!r}]; {child}"
    assert run(program) == ["0", "16"]


def test_training_keeps_kernels_where_the_user_wants_them() -> None:
    assert run(TRAIN + SHOW, **dict.fromkeys(NAMES, "9")) == ["9", "9"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_every_new_shape() -> None:
    kept, without = run(SHAPES, **dict.fromkeys(NAMES, "1024")), run(SHAPES)
    grown, flat = (int(some[2]) - int(some[0]) for some in (kept, without))
    assert flat < grown / 3


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has other rules")
def test_a_freed_tensors_pages_serve_the_next_one() -> None:
    returned, kept = run(FREED)
    assert int(returned) < 60
    assert int(kept) > 120


@pytest.mark.parametrize(
    "name", ["memory.collect_rarely", "memory.keep_freed_memory", "cpus.limit_threads"]
)
def test_the_program_is_set_up_before_its_command(name) -> None:
    module, _, function = f"transformer.{name}".rpartition(".")
    told = f"import {module}; {module}.{function} = lambda: print('done')"
    start = "import sys; sys.argv[1:] = ['--version']; from cli.app import main; main()"
    assert run(f"{told}; {start}")[0] == "done"


def test_garbage_is_first_looked_for_once_imports_are_over() -> None:
    grown = (
        "lists = [[] for _ in range({})]; print(*gc.get_threshold(), len(gc.callbacks), end=' ')"
    )
    found = run(
        "import gc; from transformer.memory import collect_rarely; gc.collect();"
        f"collect_rarely(first=5_000, later=900); {grown.format(2_000)}; {grown.format(6_000)}"
    )
    assert found == ["5000", "10", "10", "1", "900", "10", "10", "0"]
