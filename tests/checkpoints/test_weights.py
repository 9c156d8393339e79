"""Tensors of folders that anyone may have written: which files count, and what is refused."""

import json
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor

from checkpoints import (
    WEIGHT_FILES,
    CheckpointError,
    Tensors,
    Weights,
    save_tensors,
)
from checkpoints import (
    pytorch_bin as pickles,
)
from checkpoints import weights as module

INDEX, PICKLE = "model.safetensors.index.json", "pytorch_model.bin"


def sharded(folder: Path, shards: dict[str, dict[str, Tensor]], **named: str) -> Path:
    """Files of tensors and their index; `named` are entries of the index that say otherwise."""
    for name, tensors in shards.items():
        save_tensors(folder / name, tensors)
    found = {name: shard for shard, tensors in shards.items() for name in tensors}
    (folder / INDEX).write_text(json.dumps({"weight_map": {**found, **named}}))
    return folder


def test_shards_are_one_mapping(tmp_path: Path) -> None:
    one = {"a": torch.ones(2, 3), "b": torch.zeros(4)}
    two = {"c": torch.full((), 7.0), "d": torch.arange(5.0)}
    weights = Weights(sharded(tmp_path, {"1.safetensors": one, "2.safetensors": two}))
    assert {name: header.shape for name, header in weights.items()} == {
        "a": (2, 3), "b": (4,), "c": (), "d": (5,)
    }  # fmt: skip
    assert weights.elements == 2 * 3 + 4 + 1 + 5
    for name, tensor in {**one, **two}.items():
        assert torch.equal(weights.tensor(name), tensor)


def test_a_tensor_in_two_shards_is_refused(tmp_path: Path) -> None:
    shards = {f"{n}.safetensors": {"w": torch.ones(1), f"{n}": torch.ones(1)} for n in (1, 2)}
    with pytest.raises(CheckpointError, match=r"2\.safetensors repeats w, which another shard has"):
        Weights(sharded(tmp_path, shards))


@pytest.mark.parametrize(
    ("shard", "words"),
    [
        ("../1.safetensors", "which is no file of weights in it"),
        ("inner/1.safetensors", "which is no file of weights in it"),
        ("notes.txt", "'notes.txt', which is no file of weights in it"),
        ("absent.safetensors", "incomplete: absent.safetensors is missing"),
        ("x" * 260 + ".safetensors", "which is no file of weights in it"),
    ],
)
def test_a_shard_is_a_file_of_the_folder_itself(tmp_path: Path, shard: str, words: str) -> None:
    folder = tmp_path / "model"
    (folder / "inner").mkdir(parents=True)
    for place in (tmp_path, folder / "inner"):
        save_tensors(place / "1.safetensors", {"v": torch.ones(1)})
    (folder / "notes.txt").write_text("no weights")
    with pytest.raises(CheckpointError, match=words):
        Weights(sharded(folder, {"1.safetensors": {"w": torch.ones(1)}}, v=shard))


@pytest.mark.parametrize("count", range(1, 5))
def test_the_first_file_of_the_list_counts(tmp_path: Path, count: int) -> None:
    """safetensors before pickles, a whole file before shards."""
    assert ("model.safetensors", INDEX, PICKLE, f"{PICKLE}.index.json") == WEIGHT_FILES
    for number, name in reversed([*enumerate(WEIGHT_FILES)][-count:]):
        tensors = {f"from {number}": torch.ones(1)}
        if name.endswith("index.json"):
            shard = f"shard{number}{'.safetensors' if 'safetensors' in name else '.bin'}"
            store(tmp_path / shard, tensors)
            (tmp_path / name).write_text(json.dumps({"weight_map": {f"from {number}": shard}}))
        else:
            store(tmp_path / name, tensors)
    assert [*Weights(tmp_path)] == [f"from {4 - count}"]


def store(path: Path, tensors: dict[str, Tensor]) -> None:
    if path.suffix == ".bin":
        torch.save(tensors, path)
    else:
        save_tensors(path, tensors)


def test_too_many_tensors_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TENSORS", 3)
    save_tensors(tmp_path / "model.safetensors", {str(n): torch.ones(1) for n in range(3)})
    assert len(Weights(tmp_path)) == 3
    save_tensors(tmp_path / "model.safetensors", {str(n): torch.ones(1) for n in range(4)})
    with pytest.raises(CheckpointError, match="more than 3 tensors"):
        Weights(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.int8])
def test_weights_of_eight_bits_are_read_from_no_file(
    tmp_path: Path, dtype: torch.dtype, name: str
) -> None:
    """Their scales stand elsewhere, if anywhere."""
    save = torch.save if name.endswith("bin") else save_file
    save({"w": torch.ones(2).to(dtype)}, tmp_path / name)
    with pytest.raises(CheckpointError, match=f"{name}: w is not of float32"):
        Weights(tmp_path).tensor("w")


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int64, torch.bool])
def test_quantised_weights_are_not_read(tmp_path: Path, dtype: torch.dtype) -> None:
    save_tensors(tmp_path / "model.safetensors", {"w": torch.ones(2, dtype=dtype)})
    weights = Weights(tmp_path)
    assert weights["w"].dtype == dtype
    with pytest.raises(CheckpointError, match="w is not of float32"):
        weights.tensor("w")


def test_a_file_is_mapped_once_but_for_what_is_only_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_tensors(tmp_path / "model.safetensors", {"a": torch.ones(1), "b": torch.ones(1)})
    weights, opened = Weights(tmp_path), []
    real = safetensors.safe_open

    def counted(*arguments: Any, **options: Any) -> Any:
        opened.append(arguments)
        return real(*arguments, **options)

    monkeypatch.setattr(safetensors, "safe_open", counted)
    for name in ("a", "b", "a"):
        weights.tensor(name)
    assert len(opened) == 1
    weights.tensor("a", to_copy=True)
    assert len(opened) == 2
    weights.tensor("b")
    assert len(opened) == 2


def test_equal_tensors_have_the_same_type_shape_and_numbers(tmp_path: Path) -> None:
    tensors = {
        "one": torch.ones(4),
        "same": torch.ones(4),
        "other": torch.tensor([1.0, 1, 1, 2]),
        "turned": torch.ones(2, 2),
        "half": torch.ones(4, dtype=torch.float16),
    }
    save_tensors(tmp_path / "model.safetensors", tensors)
    for some in (Weights(tmp_path), Tensors({k: v for k, v in tensors.items() if k != "half"})):
        assert [n for n in some if some.equal_values("one", n)] == ["one", "same"]


def test_a_pointer_is_told_as_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(CheckpointError, match=r"Git LFS pointer.*git lfs pull"):
        Weights(tmp_path)


@pytest.mark.parametrize("length", [(8 << 20) + 1, 1 << 40])
def test_a_header_that_would_fill_the_memory_is_not_read(tmp_path: Path, length: int) -> None:
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", length) + b"{}")
    with pytest.raises(CheckpointError, match=f"said to have {length:,} bytes; at most 8,388,608"):
        Weights(tmp_path)


class Code:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.mkdir, (self.path,)


def test_no_code_of_a_pickle_is_run(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(1), "code": Code(tmp_path / "canary")}, tmp_path / PICKLE)
    with pytest.raises(CheckpointError, match="cannot be read as plain tensors"):
        Weights(tmp_path)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ([torch.ones(1)], "no dictionary of tensors by name"),
        ({3: torch.ones(1)}, "no dictionary of tensors by name"),
        ({"w": 3}, "no dictionary of tensors by name"),
        ({"w": torch.ones(1).expand(1000)}, "w is no dense tensor with all of its data"),
        ({"w": torch.ones(2, 2).to_sparse()}, "w is no dense tensor with all of its data"),
    ],
)
def test_a_pickle_holds_tensors_by_name(tmp_path: Path, state: Any, words: str) -> None:
    torch.save(state, tmp_path / PICKLE)
    with pytest.raises(CheckpointError, match=words):
        Weights(tmp_path)


@pytest.mark.filterwarnings("ignore")  # quantised tensors are going out of use
def test_a_quantised_pickle_is_refused(tmp_path: Path) -> None:
    torch.save(
        {"w": torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.qint8)}, tmp_path / PICKLE
    )
    with pytest.raises(CheckpointError, match=r"w is no dense tensor|cannot be read"):
        Weights(tmp_path)


def test_views_of_one_storage_are_plain(tmp_path: Path) -> None:
    whole = torch.arange(6.0)
    torch.save({"row": whole[:3], "turned": whole.view(2, 3).t()}, tmp_path / PICKLE)
    weights = Weights(tmp_path)
    assert weights.tensor("row").tolist() == [0, 1, 2]
    assert weights.tensor("turned").tolist() == [[0, 3], [1, 4], [2, 5]]


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickles_steps_are_counted_before_any_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool
) -> None:
    state = {str(n): torch.ones(1) for n in range(20)}
    torch.save(state, tmp_path / PICKLE, _use_new_zipfile_serialization=zipped)
    assert len(Weights(tmp_path)) == 20
    monkeypatch.setattr(pickles, "MAX_OPCODES", 100)
    with pytest.raises(CheckpointError, match="it takes more than 100 steps"):
        Weights(tmp_path)


def test_an_archives_pickle_is_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"w": torch.ones(100_000)}, tmp_path / PICKLE)
    monkeypatch.setattr(pickles, "MAX_PICKLE_BYTES", 2000)
    assert Weights(tmp_path).elements == 100_000
    monkeypatch.setattr(pickles, "MAX_PICKLE_BYTES", 20)
    with pytest.raises(CheckpointError, match=r"its data\.pkl has \d+ bytes"):
        Weights(tmp_path)


@pytest.mark.parametrize(
    ("name", "how", "words"),
    [
        ("archive/data.pkl", zipfile.ZIP_DEFLATED, "a compressed archive"),
        ("archive/other.pkl", zipfile.ZIP_STORED, "an archive without a data.pkl"),
    ],
)
def test_an_archive_is_one_of_torchs(tmp_path: Path, name: str, how: int, words: str) -> None:
    with zipfile.ZipFile(tmp_path / PICKLE, "w", how) as archive:
        archive.writestr(name, pickle.dumps({}))
    with pytest.raises(CheckpointError, match=words):
        Weights(tmp_path)
