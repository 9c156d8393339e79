"""The log of a run: each step once, whatever the file has become."""

import json
import resource

import pytest

from transformer.training.events import RunStarted
from transformer.training.metrics import cut_log, logged, read_validation
from transformer.training.trainer import StepReport


def record(step: int, event: str = "step") -> str:
    return json.dumps({"event": event, "step": step, "text": "\u2028"}, ensure_ascii=False) + "\n"


@pytest.mark.parametrize(
    ("text", "step", "kept", "damaged"),
    [
        ("", 3, "", 0),
        (record(1) + record(2), 3, record(1) + record(2), 0),
        (
            record(2) + record(2, "validation") + record(3),
            2,
            record(2) + record(2, "validation"),
            0,
        ),
        (record(4) + record(4, "validation"), 4, record(4), 0),  # which was not saved
        (record(1) + record(2)[:-9], 1, record(1), 0),  # half a last line
        (record(1) + record(2)[:-9] + record(3), 3, record(1), 1),
        (record(1), 0, "", 0),  # begun again
        (record(1)[:-1], 1, "", 0),
    ],
)
def test_a_log_is_cut_back_to_the_restored_step(tmp_path, text, step, kept, damaged) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(text)
    assert cut_log(path, step, validated=2) == damaged
    assert path.read_text() == kept


def test_what_a_log_says_of_the_data_stays_unless_it_is_said_again(tmp_path) -> None:
    path, data = tmp_path / "metrics.jsonl", json.dumps({"event": "data"}) + "\n"
    path.write_text(data + record(1) + record(2))
    assert cut_log(path, 1, validated=0) == 0
    assert path.read_text() == data + record(1)
    assert cut_log(path, 0, validated=0, anew=True) == 0
    assert path.read_text() == ""


@pytest.mark.parametrize(
    "damaged",
    [
        b'{"step": 1e999}',
        b'{"text": "\xed\xa0\x80"}',
        b"\xff\xfe{\x00}\x00",
        b"[" * 99999,
        b"7",
        b"\x00",
    ],
    ids=["endless", "half a character", "UTF-16", "nested", "number", "NUL"],
)
def test_a_line_of_any_bytes_is_left_out_and_counted(tmp_path, damaged) -> None:
    """Half a character, UTF-16 and endless numbers are JSON to Python, and broke a run."""
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(record(1).encode() + damaged + b"\n" + record(2).encode())
    assert read_validation(tmp_path, 2) == {}
    assert cut_log(path, 5, validated=0) == 1
    assert path.read_text() == record(1) + record(2)


def test_a_log_without_room_is_named(tmp_path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    (tmp_path / "metrics.jsonl").write_bytes(record(1).encode() * 99)
    events = logged([RunStarted(1, "cpu", 9, 1, 1), StepReport(2, 1.0, 1.0, 1.0, 1, 1.0)], tmp_path)
    next(events)
    resource.setrlimit(resource.RLIMIT_FSIZE, (99, limits[1]))
    try:
        with pytest.raises(OSError, match=r"File too large: .*metrics\.jsonl"):
            list(events)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
