"""Speeds of kernels: measured once, remembered, and measured again elsewhere."""

import os

import pytest
import torch

from checkpoints import cache_file
from transformer.kernels import LINEAR_KERNELS, is_usable, kernel_speeds, probe


@pytest.fixture(autouse=True)
def measured(monkeypatch, tmp_path) -> list[str]:
    """The kernels whose times are asked for; each takes a known time a batch."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    names = {id(kernel): name for name, kernel in LINEAR_KERNELS.items()}
    times = {"onednn": [2.0, 4.0, 8.0], "float16": [1.0, 4.0, 16.0], "int8": [0.5, 1.0, 2.0]}
    asked: list[str] = []

    def known(kernel):
        asked.append(names[id(kernel)])
        return times[asked[-1]]

    monkeypatch.setattr(probe, "_times", known)
    return asked


def test_a_speed_is_the_mean_ratio_of_all_batches(measured) -> None:
    assert kernel_speeds("onednn") == pytest.approx({"onednn": 1, "float16": 1, "int8": 4})


def test_speeds_are_measured_once(measured) -> None:
    assert kernel_speeds("onednn") == kernel_speeds("onednn")
    assert measured == list(LINEAR_KERNELS)


@pytest.mark.parametrize("change", ["machine", "damage", "other", "folder"])
def test_speeds_of_another_machine_or_a_damaged_file_do_not_count(
    measured, monkeypatch, tmp_path, change
) -> None:
    file = tmp_path / "transduce" / probe.CACHE_NAME
    wanted = kernel_speeds("onednn")
    if change == "machine":
        monkeypatch.setattr(probe.torch, "__version__", "99.0")
    elif change == "folder":
        file.unlink()
        file.mkdir()
    else:
        file.write_text({"damage": file.read_text()[:-9], "other": "{}"}[change])
    assert kernel_speeds("onednn") == wanted
    assert measured == [*LINEAR_KERNELS] * 2


def test_one_thread_measures_and_others_come_back(monkeypatch) -> None:
    seen, before = [], torch.get_num_threads()
    monkeypatch.setattr(probe, "_times", lambda kernel: seen.append(torch.get_num_threads()) or [1])
    torch.set_num_threads(2)
    try:
        kernel_speeds("onednn")
        assert set(seen) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_kernels_that_the_machine_lacks_have_no_speed(monkeypatch) -> None:
    monkeypatch.setattr(probe, "is_usable", lambda name: name != "int8")
    assert set(kernel_speeds("onednn")) == {"onednn", "float16"}
    monkeypatch.setattr(probe, "_machine", lambda: "another")
    monkeypatch.setattr(probe, "is_usable", lambda name: name != "onednn")
    assert kernel_speeds("onednn") == {}


def test_a_place_that_cannot_be_written_is_no_error(monkeypatch, tmp_path) -> None:
    (tmp_path / "transduce").write_text("in the way")
    assert kernel_speeds("onednn")["int8"] == pytest.approx(4)


@pytest.mark.parametrize(
    "content",
    [
        b'{"AMD \xc3 x": {"onednn": 1.0}}',
        b'{"\xff": {"x": 1}}',
        b"[1]",
        b"{}{",
        b'{"KEY": {}}',
        b'{"KEY": {"float16": 5}}',
        b'{"KEY": {"onednn": 0, "float16": 0, "int8": 1}}',
        b'{"KEY": {"onednn": -1, "float16": 1, "int8": 1}}',
        b'{"KEY": {"onednn": 1e999, "float16": 1, "int8": 1}}',
    ],
)
def test_what_cannot_be_a_measurement_is_measured_again(monkeypatch, content) -> None:
    path = cache_file(probe.CACHE_NAME)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.replace(b"KEY", f"{probe._machine()} base onednn".encode()))
    monkeypatch.setattr(probe, "_times", lambda kernel: [1.0, 2.0])
    assert kernel_speeds("onednn") == dict.fromkeys(filter(is_usable, LINEAR_KERNELS), 1.0)


def test_a_pipe_is_no_measurement(monkeypatch) -> None:
    path = cache_file(probe.CACHE_NAME)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    monkeypatch.setattr(probe, "_times", lambda kernel: [1.0])
    assert kernel_speeds("onednn")["onednn"] == 1.0
    path.unlink(missing_ok=True)
