"""What is found in damaged folders; tensors, averages and optimizer states worked by hand."""

import json
import resource
from pathlib import Path

import pytest
import torch

from checkpoints import (
    WEIGHTS,
    CheckpointError,
    average_weights,
    flatten_optimizer,
    is_inside,
    load_tensors,
    read_json,
    read_json_list,
    save_tensors,
    to_json,
    unflatten_optimizer,
    verify_checksums,
    write_file,
    write_folder,
)
from checkpoints.atomic_folder import MANIFEST


@pytest.fixture
def folder(tmp_path):
    def fill(place):
        (place / "inner").mkdir()
        (place / "a.txt").write_text("old")
        (place / "inner" / "b.txt").write_text("oldold")

    write_folder(tmp_path / "model", fill)
    return tmp_path / "model"


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-1])


def flip_a_bit(path):
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut_short, "b.txt is damaged: it has 5 bytes, 6 were written"),
        (flip_a_bit, "b.txt is damaged: its contents are not what was written"),
        (Path.unlink, "incomplete: inner/b.txt is missing"),
    ],
)
def test_verifying_finds_what_is_wrong_with_a_file(folder, damage, words):
    verify_checksums(folder)
    damage(folder / "inner" / "b.txt")
    with pytest.raises(CheckpointError, match=words):
        verify_checksums(folder)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"a.txt": 3}', '{"a.txt": {}}', '{"a.txt": {"bytes": 3}}', "\udcff"],
    ids=repr,
)
def test_a_damaged_manifest_is_a_checkpoint_error(folder, text):
    (folder / MANIFEST).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(CheckpointError, match=MANIFEST):
        verify_checksums(folder)


def test_a_folder_without_a_manifest_is_taken_as_it_is(folder):
    (folder / MANIFEST).unlink()
    verify_checksums(folder)


def test_tensors_come_back_as_they_were_saved(tmp_path):
    tensors = {
        "whole": torch.arange(6.0).view(2, 3),
        "turned": torch.arange(6.0).view(2, 3).t(),
        "half": torch.tensor([1.5], dtype=torch.bfloat16),
        "scalar": torch.tensor(3),
        "learnt": torch.ones(2, requires_grad=True),
    }
    save_tensors(tmp_path / WEIGHTS, tensors)
    loaded = load_tensors(tmp_path / WEIGHTS)
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        torch.testing.assert_close(loaded[name], tensor.detach(), rtol=0, atol=0)


@pytest.mark.parametrize("content", [b"", b"no tensors", b"\xff" * 100, None])
def test_what_holds_no_tensors_is_a_checkpoint_error(tmp_path, content):
    if content is not None:
        (tmp_path / WEIGHTS).write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"{WEIGHTS} cannot be read"):
        load_tensors(tmp_path / WEIGHTS)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, None], ids=range(6))
def test_what_is_no_json_object_is_a_checkpoint_error(tmp_path, content):
    if content is not None:
        (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(
        CheckpointError, match=r"config\.json (cannot be read|holds no JSON object)"
    ):
        read_json(tmp_path / "config.json")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_json_holds_no_number_that_is_none(tmp_path, number):
    (tmp_path / "config.json").write_text(f'{{"a": [{number}]}}')
    with pytest.raises(CheckpointError, match=f"it holds the number {number}"):
        read_json(tmp_path / "config.json")


def test_json_is_small(tmp_path):
    """Lists in lists fill 40 times their length in memory."""
    (tmp_path / "config.json").write_text('{"a": 1}' + " " * (6 << 20))
    with pytest.raises(CheckpointError, match="larger than 6 MiB"):
        read_json(tmp_path / "config.json")


@pytest.mark.parametrize(("text", "good"), [("[]", 1), ('[{"a": 1}]', 1), ("[1]", 0), ("{}", 0)])
def test_a_list_of_objects_is_one(tmp_path, text, good):
    (tmp_path / "list.json").write_text(text)
    if good:
        assert read_json_list(tmp_path / "list.json") == json.loads(text)
        return
    with pytest.raises(CheckpointError, match="holds no list of JSON objects"):
        read_json_list(tmp_path / "list.json")


def test_our_json_can_be_read_by_people():
    assert to_json({"é": ["日本"]}) == '{\n  "é": [\n    "日本"\n  ]\n}\n'


def hub_cache(tmp_path):
    """A snapshot whose files are links to blobs, as a hub keeps them."""
    model = tmp_path / "models--a--b"
    for place in ("snapshots/0123", "snapshots/4567", "blobs"):
        (model / place).mkdir(parents=True)
    (model / "blobs" / "77").write_text("{}")
    (model / "other").write_text("{}")
    return model / "snapshots" / "0123"


def test_names_stay_in_their_folder_or_lead_to_the_blobs_of_a_hubs_cache(tmp_path):
    home = hub_cache(tmp_path)
    links = {"blob": "../../blobs/77", "beside": "../4567", "above": "../../other", "self": "self"}
    for name, target in links.items():
        (home / name).symlink_to(target)
    (home / "in").symlink_to("blob")
    found = {name: is_inside(home, name) for name in [*links, "in", "plain", "../0123/plain"]}
    assert found == {
        "blob": True, "in": True, "plain": True, "../0123/plain": True, "self": True,
        "beside": False, "above": False,
    }  # fmt: skip
    assert not is_inside(home, "..")
    assert not is_inside(home, "../4567/x")
    assert not is_inside(home, str(tmp_path / "x"))
    assert not is_inside(tmp_path / "models--a--b", "../blobs/77")


@pytest.mark.parametrize("name", ["a\0b", "é" * 128, "x" * 256, "a/" + "x" * 256])
def test_names_that_no_file_can_have_lie_nowhere(tmp_path, name):
    assert not is_inside(tmp_path, name)
    assert is_inside(tmp_path, "é" * 127)


def test_json_comes_back_as_it_was_written(tmp_path):
    value = {"é\u2028": [1, 2.5, None], "nested": {"a": "\x00"}}
    write_file(tmp_path / "config.json", to_json(value))
    assert read_json(tmp_path / "config.json") == value
    assert json.loads(to_json(value)) == value


def weights_folder(path, tensors):
    write_folder(path, lambda place: save_tensors(place / WEIGHTS, tensors))
    return path


def test_an_average_is_the_mean_of_each_tensor(tmp_path):
    """(1 + 2 + 6) / 3 = 3, and so on; bfloat16 keeps its type but is summed exactly:
    (256 + 1 + 1) / 3 = 86, where bfloat16 alone would find 256 / 3 = 85.5."""
    rows = [([1.0, 4.0], 256.0), ([2.0, 4.0], 1.0), ([6.0, 1.0], 1.0)]
    folders = [
        weights_folder(
            tmp_path / str(number),
            {"w": torch.tensor(w), "half": torch.tensor(half, dtype=torch.bfloat16)},
        )
        for number, (w, half) in enumerate(rows)
    ]
    mean = average_weights(folders)
    assert {name: (t.dtype, t.tolist()) for name, t in mean.items()} == {
        "w": (torch.float32, [3.0, 3.0]),
        "half": (torch.bfloat16, 86.0),
    }


WHOLE = [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]


@pytest.mark.parametrize("dtype", WHOLE, ids=str)
def test_an_average_keeps_whole_numbers_which_have_no_mean(tmp_path, dtype):
    """They vanished, or were averaged and cut: (1 + 2) / 2 is no whole number."""
    one, two, three = (
        weights_folder(
            tmp_path / f"{place}",
            {"a": torch.tensor([number, 1]).to(dtype), "w": torch.tensor([2.0 * place])},
        )
        for place, number in enumerate((0, 0, 2))
    )
    mean = average_weights([one, two])
    assert list(mean) == ["a", "w"]
    assert mean["w"].tolist() == [1.0]
    assert (mean["a"].dtype, mean["a"].tolist()) == (dtype, [0, 1])
    with pytest.raises(CheckpointError, match=r"2 is another model than .*0: a differs"):
        average_weights([one, three])


@pytest.mark.parametrize(
    "other",
    [
        {"w": torch.ones(3), "u": torch.ones(1)},
        {"v": torch.ones(2), "u": torch.ones(1)},
        {"w": torch.ones(2), "v": torch.ones(1), "u": torch.ones(1)},
        {"w": torch.ones(2)},
        {"w": torch.ones(2).long(), "u": torch.ones(1)},
        {"w": torch.ones(2), "u": torch.ones(1), "v": torch.arange(2)},
        {"w": torch.ones(2), "u": torch.ones(1), "i": None},
        {"w": torch.ones(2), "u": torch.ones(1), "i": torch.ones(2)},
    ],
)
def test_an_average_of_different_models_is_an_error(tmp_path, other):
    whole = {"i": torch.arange(2)}
    other = {name: t for name, t in (whole | other).items() if t is not None}
    one = weights_folder(tmp_path / "one", {"w": torch.ones(2), "u": torch.ones(1)} | whole)
    two = weights_folder(tmp_path / "two", other)
    with pytest.raises(CheckpointError, match=r"two is another model than .*one: [iuvw] differs"):
        average_weights([one, two])


def test_an_average_of_nothing_is_an_error():
    with pytest.raises(CheckpointError, match="nothing to average"):
        average_weights([])


def test_an_optimizer_state_comes_back_through_names(tmp_path):
    weights = [torch.nn.Parameter(torch.full((size,), 2.0)) for size in range(1, 13)]
    optimizer = torch.optim.AdamW(weights)
    sum(weight.square().sum() for weight in weights).backward()
    optimizer.step()
    state = optimizer.state_dict()["state"]
    save_tensors(tmp_path / "optimizer", flatten_optimizer(state))
    loaded = unflatten_optimizer(load_tensors(tmp_path / "optimizer"))
    assert {index: entry.keys() for index, entry in loaded.items()} == {
        index: {"step", "exp_avg", "exp_avg_sq"} for index in range(12)
    }
    for index, entry in state.items():
        torch.testing.assert_close(loaded[index], entry, rtol=0, atol=0)


def test_an_optimizers_state_keeps_its_numbers_where_some_are_missing() -> None:
    """A weight without gradients has no state."""
    one = torch.ones(1)
    state = {0: {"exp_avg": one}, 7: {"exp_avg": one, "max.exp_avg": one}}
    assert [*flatten_optimizer(state)] == ["0.exp_avg", "7.exp_avg", "7.max.exp_avg"]
    assert unflatten_optimizer(flatten_optimizer(state)) == state


@pytest.mark.parametrize(
    "name", ["exp_avg", "x.exp_avg", "0.", ".exp_avg", "-1.exp_avg", "².exp_avg"]
)
def test_a_name_of_another_form_is_an_error(name):
    with pytest.raises(CheckpointError, match=f"'{name}' is no tensor"):
        unflatten_optimizer({name: torch.ones(1)})


def write_tensors(path):
    write_folder(path, lambda temporary: save_tensors(temporary / WEIGHTS, {"w": torch.ones(9999)}))


def write_bytes(path):
    write_folder(path, lambda temporary: (temporary / "ids").write_bytes(bytes(1 << 17)))


WRITERS = [write_tensors, write_bytes, lambda path: write_file(path, "1" * (1 << 17))]


@pytest.mark.parametrize("write", WRITERS, ids=["tensors", "bytes", "text"])
def test_a_disk_without_room_is_told_by_the_name_of_what_was_to_be_written(tmp_path, write):
    """The system's error names no file, and that of safetensors is no OSError."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 12, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as raised:
            write(tmp_path / "step-1")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert raised.value.filename == str(tmp_path / "step-1")
    assert list(tmp_path.iterdir()) == []
