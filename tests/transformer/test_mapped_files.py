"""Pages of mapped files, given back to the system."""

import mmap
import os
from pathlib import Path

import pytest
import safetensors
import torch
from safetensors.torch import save_file

from tests.models import tiny_model
from transformer.kernels import LINEAR_KERNELS, pack_model, packing
from transformer.memory import MappedFiles

SIZE = 64 * mmap.PAGESIZE
pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="Linux alone")


def resident(path: Path) -> int:
    """The bytes of a file's mappings that are in this program's memory."""
    total, ours = 0, False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        name, *rest = line.split()
        if "-" in name:
            ours = bool(rest) and rest[-1] == str(path)
        elif ours and name == "Rss:":
            total += int(rest[0]) << 10
    return total


def _flush(path: Path) -> None:
    """Let a file reach its disk: until then its pages must stay."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


@pytest.fixture
def mapped(tmp_path: Path):
    path = tmp_path / "weights.safetensors"
    save_file({"a": torch.arange(SIZE // 4, dtype=torch.float32)}, path)
    _flush(path)
    with safetensors.safe_open(path, "pt") as file:
        yield path, file.get_tensor("a")


def test_pages_of_a_file_leave_and_come_back(mapped) -> None:
    path, tensor = mapped
    total = tensor.sum()
    before = resident(path)
    assert before >= SIZE - 2 * mmap.PAGESIZE
    MappedFiles().drop(tensor.data_ptr(), tensor.nbytes)
    assert resident(path) < before / 2
    assert torch.equal(tensor.sum(), total)


def test_memory_that_is_no_file_keeps_what_is_written_there() -> None:
    tensor = torch.arange(SIZE // 4, dtype=torch.float32)
    files = MappedFiles()
    files.drop(tensor.data_ptr(), tensor.nbytes)
    files.drop(tensor.data_ptr() + 1, 10)
    assert torch.equal(tensor, torch.arange(SIZE // 4, dtype=torch.float32))


def test_a_model_is_laid_out_without_room_for_its_file(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(packing, "SMALL", 0)
    model = tiny_model("decoder", d_model=256, d_ff=256).requires_grad_(False)
    path = tmp_path / "weights.safetensors"
    save_file(model.state_dict(), path)
    _flush(path)
    with safetensors.safe_open(path, "pt") as file:
        names = list(file.keys())
        model.load_state_dict({name: file.get_tensor(name) for name in names}, assign=True)
    assert all(torch.isfinite(each).all() for each in model.parameters())
    seen, replace = [], packing._replace_child

    def seen_and_replaced(*arguments) -> None:
        seen.append(resident(path))
        replace(*arguments)

    monkeypatch.setattr(packing, "_replace_child", seen_and_replaced)
    pack_model(model, LINEAR_KERNELS["int8"])
    assert seen[-1] < path.stat().st_size / 2
    assert resident(path) == 0
