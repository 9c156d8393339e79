"""The log of a run, metrics.jsonl: its data, and every step and validation, each once."""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import msgspec

from checkpoints import errors_of_writing, write_file
from tokenizer.quantities import format_count

from .events import DataPrepared, Event, Notice, RunStarted, Validated
from .trainer import SkippedStep, StepReport

METRICS = "metrics.jsonl"  # in a run's folder
_VALIDATION = "validation"


def logged(events: Iterable[Event], run: Path) -> Iterator[Event]:
    """Yield a run's events, each once it is in the log of the run.

    The log is cut back to the step that training starts from, and lines that are damaged are left
    out, with a notice. Nothing is written before training starts.
    """
    log: TextIO | None = None
    records: list[dict[str, Any]] = []  # that are not logged yet
    try:
        for event in events:
            if log is None and isinstance(event, RunStarted):
                # what was logged of the data is logged again in a run that begins again
                anew = bool(records) and event.steps_done == 0
                if damaged := cut_log(
                    run / METRICS, event.steps_done, validated=event.validated_step, anew=anew
                ):
                    yield Notice(f"{METRICS}: left out {format_count(damaged, 'damaged line')}")
                log = (run / METRICS).open("a", encoding="utf-8")
            if (record := metrics_record(event)) is not None:
                records.append(record)
            if records and log is not None:
                with errors_of_writing(run / METRICS):
                    log.writelines(json.dumps(each, ensure_ascii=False) + "\n" for each in records)
                    log.flush()
                records.clear()
            yield event
    finally:
        if log is not None:
            with errors_of_writing(run / METRICS):
                log.close()


def metrics_record(event: Event) -> dict[str, Any] | None:
    """Return an event's record in the log; None for events without numbers."""
    if isinstance(event, StepReport):
        return {"event": "step", **event._asdict()}
    if isinstance(event, DataPrepared):
        parts = {name: msgspec.to_builtins(part) for name, part in event._asdict().items()}
        return {"event": "data", **parts}
    if isinstance(event, SkippedStep):  # JSON has no NaN
        numbers = {"loss": str(event.loss), "gradient_norm": str(event.gradient_norm)}
        return {"event": "skipped", **event._asdict(), **numbers}
    if isinstance(event, Validated):
        scores = {
            s.name: {"value": s.value, "signature": s.signature} for s in event.scores.values()
        }
        fields = event._asdict()
        return {"event": _VALIDATION, **fields, "scores": scores, "sample": dict(event.sample)}
    return None


def cut_log(path: Path, step: int, *, validated: int, anew: bool = False) -> int:
    """Leave the records of steps up to `step` in a log, for what is later is done again.

    So are validations later than `validated`, as of a run that was killed before it had saved the
    last one. Records without a step, as of the data, are left too unless the run begins `anew`.
    Returns the number of damaged lines left out, not counting a last one that was cut short.
    """
    if not path.is_file():
        return 0
    *lines, rest = path.read_bytes().split(b"\n")
    numbers = [_number_of(line) for line in lines]
    first, last = 1 if anew else 0, {_VALIDATION: min(step, validated)}
    kept = [
        line
        for line, number in zip(lines, numbers, strict=True)
        if number is not None and first <= number[1] <= last.get(number[0], step)
    ]
    if len(kept) < len(lines) or rest:
        write_file(path, b"".join(line + b"\n" for line in kept).decode())
    return numbers.count(None)


def read_validation(run: Path, step: int) -> dict[str, Any]:
    """Return the record of a step's validation in a run's log; an empty one if it has none."""
    with suppress(OSError):
        for line in (run / METRICS).read_bytes().split(b"\n"):
            if b'"validation"' not in line:  # most are steps
                continue
            if _number_of(line) == (_VALIDATION, step):
                return dict(json.loads(line))
    return {}


def _number_of(line: bytes) -> tuple[str, int] | None:
    """Return the event and the step of a record, 0 if it is of none; None for a damaged one."""
    try:
        record = json.loads(line.decode())  # bytes would be read as UTF-16, too
        event, step = record.get("event"), record.get("step", 0)
    except (ValueError, AttributeError, RecursionError):
        return None
    return (str(event), step) if isinstance(step, int) else None
