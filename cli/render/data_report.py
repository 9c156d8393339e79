"""The text of a run, and what was left out of it, as a few lines."""

from collections.abc import Callable, Iterable, Iterator

from transformer.training.data_report import (
    BLANK,
    TOO_LONG,
    UNREADABLE,
    PairReport,
    PartReport,
    TextReport,
)
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


_Part = PairReport | TextReport
_Describe = Callable[[_Part, _Part], Iterable[str]]  # a part, beside that of training


def _lines_of_parts(event: DataPrepared, describe: _Describe) -> list[str]:
    parts = {"training": event.training, "validation": event.validation}
    return [
        f"{name}: {line}"
        for name, part in parts.items()
        if part is not None
        for line in describe(part, event.training)
    ]


def _part_lines(part: _Part, training: _Part) -> Iterator[str]:
    yield _size(part)
    unknown = unknown_characters(part) or ["no unknown characters"]
    yield "; ".join([*_facts(part), *_not_compared(part, training), *unknown])
    yield from _suspicions(part)


def _part_losses(part: _Part, training: _Part) -> Iterator[str]:
    del training
    if part.left_out:
        yield _size(part)
    yield from unknown_characters(part)
    yield from _suspicions(part)


def _size(part: _Part) -> str:
    names = [file.name for file in part.files[:_MAX_FILES]]
    if len(part.files) > _MAX_FILES:
        names.append(f"{len(part.files) - _MAX_FILES:,} more files")
    limit = part.limit if isinstance(part, PairReport) else 0
    reasons = [
        f"{count:,} {_REASONS[reason].format(limit=limit)}"
        for reason, count in part.left_out.items()
    ]
    left_out = f"; left out: {', '.join(reasons)}" if reasons else ""
    return f"{part.kept:,} {part.unit} of {', '.join(names)}{left_out}"


def _facts(part: _Part) -> Iterator[str]:
    sides = f", at most {part.longest:,} on a side" if isinstance(part, PairReport) else ""
    yield f"{part.tokens:,} tokens{sides}"
    if part.repeats:
        yield f"{part.repeats:,} {part.compared} are exact repeats"
    if isinstance(part, PairReport) and part.sources_in_training:
        yield (
            f"{part.sources_in_training:,} sources are in training too, "
            f"{part.in_training:,} with the same target"
        )
    elif part.in_training:
        yield f"{part.in_training:,} {part.compared} are in training too"


def _not_compared(part: _Part, training: _Part) -> Iterator[str]:
    """Tell where the numbers before are of the first examples alone."""
    if part.not_compared:
        yield f"the last {part.not_compared:,} {part.compared} are not compared with others"
    if training.not_compared and part is not training:
        yield f"not compared with the last {training.not_compared:,} of training"


def _suspicions(part: _Part) -> Iterator[str]:
    if isinstance(part, PairReport):
        for header in part.headers:
            yield f"{header}, which are a pair like any other"
        return
    for mark, count in part.end_marks.items():
        yield (
            f"{mark} stands in the text {count:,} times and is learnt as text; to end documents "
            f"there: --set 'data.document_separators=[\"{mark}\"]', JSONL, or, where each line is "
            "a document, --columns 1"
        )


def unknown_characters(part: PartReport) -> list[str]:
    """Return a line for each side with characters that the tokenizer does not know."""
    return [
        f"{text.unknown:,} characters of the {side} ({text.share:.2%}) are unknown to the "
        f"tokenizer, most often {' '.join(text.most_frequent)}"
        for side, text in part.unknown.items()
        if text.unknown
    ]
