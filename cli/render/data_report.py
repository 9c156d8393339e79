"""The text of a run, and what was left out of it, as a few lines."""

from collections.abc import Callable, Iterable, Iterator

from transformer.training.data_report import BLANK, TOO_LONG, UNREADABLE, PartReport
from transformer.training.events import DataPrepared

_MAX_FILES = 3  # named in a line
_REASONS = {
    BLANK: "blank",
    TOO_LONG: "of {limit:,} tokens or more",
    UNREADABLE: "with a side that the tokenizer does not know",
}


def data_lines(event: DataPrepared) -> list[str]:
    """Return lines about the training and the validation text."""
    return _lines_of_parts(event, _part_lines)


def loss_lines(event: DataPrepared) -> list[str]:
    """Return those of the lines that tell what is lost, or may be read otherwise than is meant."""
    return _lines_of_parts(event, _part_losses)


def _lines_of_parts(
    event: DataPrepared, describe: Callable[[PartReport], Iterable[str]]
) -> list[str]:
    parts = {"training": event.training, "validation": event.validation}
    return [
        f"{name}: {line}"
        for name, part in parts.items()
        if part is not None
        for line in describe(part)
    ]


def _part_lines(part: PartReport) -> Iterator[str]:
    yield _size(part)
    facts = [f"{part.tokens:,} tokens, at most {part.longest:,} on a side", *_repeats(part)]
    if part.unit == "documents":
        facts[0] = f"{part.tokens:,} tokens"
    yield "; ".join([*facts, *(_unknown(part) or ["no unknown characters"])])
    yield from _suspicions(part)


def _part_losses(part: PartReport) -> Iterator[str]:
    if part.left_out:
        yield _size(part)
    yield from _unknown(part)
    yield from _suspicions(part)


def _size(part: PartReport) -> str:
    names = [file.name for file in part.files[:_MAX_FILES]]
    if len(part.files) > _MAX_FILES:
        names.append(f"{len(part.files) - _MAX_FILES:,} more files")
    return f"{part.kept:,} {part.unit} of {', '.join(names)}{_left_out(part)}"


def _suspicions(part: PartReport) -> Iterator[str]:
    for header in part.headers:
        yield f"the first row looks like names of columns: {header}"
    for mark, count in part.end_marks.items():
        yield (
            f"{mark} stands in the text {count:,} times and is learnt as text; to end documents "
            f"there: --set 'data.document_separators=[\"{mark}\"]', JSONL, or, where each line is "
            "a document, --columns 1"
        )


def _left_out(part: PartReport) -> str:
    reasons = [
        f"{count:,} {_REASONS[reason].format(limit=part.limit)}"
        for reason, count in part.left_out.items()
    ]
    return f"; left out: {', '.join(reasons)}" if reasons else ""


def _repeats(part: PartReport) -> Iterator[str]:
    unit = "pairs" if part.unit == "pairs" else "longer lines"
    if part.repeats:
        yield f"{part.repeats:,} {unit} are exact repeats"
    if part.sources_in_training:
        yield (
            f"{part.sources_in_training:,} sources are in training too, "
            f"{part.in_training:,} with the same target"
        )
    elif part.in_training:
        yield f"{part.in_training:,} {unit} are in training too"


def _unknown(part: PartReport) -> list[str]:
    return [
        f"{text.unknown:,} characters of the {side} ({text.share:.2%}) are unknown to the "
        f"tokenizer, most often {' '.join(text.most_frequent)}"
        for side, text in part.unknown.items()
        if text.unknown
    ]
