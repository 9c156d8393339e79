"""Labelled text: TSV, CSV, JSONL, JSON, or lines of a label and a text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tokenizer import CorpusCounts, CorpusError, is_blank
from tokenizer.quantities import format_count
from tokenizer.text import (
    FORMATS,
    Columns,
    CorpusLines,
    JsonObjects,
    field_names,
    field_value,
    find_delimiter,
    find_format,
    format_of_name,
    listed,
    open_corpus,
    replace_surrogates,
    sample_rows,
)

from .inventory import LabelValues
from .label_columns import (
    LabelColumns,
    begins_with_labels,
    columns_of_record,
    columns_of_rows,
    named_columns,
    split_label,
)

_SAMPLE = 1000  # rows that tell the label's column


class LabelledText(NamedTuple):
    """A text, or the two of a pair, and its labels as they are written."""

    texts: tuple[str, ...]
    labels: LabelValues


@dataclass(frozen=True)
class LabelledFile:
    """A file of labelled text (`-` is stdin).

    `columns` are names or numbers, the label's last; without them they are told by their names or
    contents. A `separator` takes a table's label apart into several; `known` labels tell their
    column.
    """

    path: str
    columns: tuple[str, ...] = ()
    separator: str | None = None
    known: frozenset[str] = frozenset()


@dataclass
class _LeftOut:
    """The numbers of records that are left out."""

    blank: int = 0
    unlabelled: int = 0

    def notice(self, name: str, counts: CorpusCounts) -> None:
        """Tell of them."""
        reasons = {"blank text": self.blank, "text without a label": self.unlabelled}
        parts = [
            format_count(count, reason, reason.replace("text", "texts"))
            for reason, count in reasons.items()
            if count
        ]
        if parts:
            counts.notice(f"{name}: {' and '.join(parts)} left out")


def read_labelled(file: LabelledFile, counts: CorpusCounts | None = None) -> Iterator[LabelledText]:
    """Yield the labelled texts of a file; blank ones and those without a label are left out.

    What a file is decides how it is read: JSON, CSV or TSV, or lines of a label, a space and a
    text. `counts` is told what was decided and left out. Raises OSError or CorpusError.
    """
    counts = counts if counts is not None else CorpusCounts()
    left_out, size = _LeftOut(), 0
    with open_corpus(file.path, counts) as (lines, head):
        for texts, labels in _records(file, lines, head):
            if any(map(is_blank, texts)):
                left_out.blank += 1
            elif not (labels.values or labels.is_list):
                left_out.unlabelled += 1
            else:
                size += 1
                yield LabelledText(texts, labels)
    left_out.notice(lines.name, counts)
    if not size:
        raise CorpusError(f"{lines.name} has no text with a label")


def _records(file: LabelledFile, lines: CorpusLines, head: str) -> Iterator[LabelledText]:
    names = file.columns
    if not names and format_of_name(file.path) is None and begins_with_labels(head):
        lines.counts.notice(f"{lines.name}: each line is a label, a space and a text")
        yield from _spaced(lines)
        return
    columns = Columns(named_columns(names).names if names else (), default=2)
    format_name = find_format(file.path, head, columns, lines.counts, records=True)
    layout = FORMATS[format_name or "tsv"].layout
    if isinstance(layout, JsonObjects):
        yield from _json_records(layout, lines, names)
        return
    if not names:
        delimiter = "\t" if format_name == "tsv" else find_delimiter(head) or ","
        columns = Columns(_columns_of_table(lines, head, delimiter, file.known).names)
    for record in layout.records(lines, columns):
        if record.error is not None:
            raise record.error
        *texts, label = record.texts
        yield LabelledText(tuple(texts), _cell_labels(label, file.separator))


def _spaced(lines: CorpusLines) -> Iterator[LabelledText]:
    for line in lines:
        labels, text = split_label(line)
        yield LabelledText((text,), LabelValues(labels, is_list=len(labels) > 1))


def _columns_of_table(
    lines: CorpusLines, head: str, delimiter: str, known: frozenset[str]
) -> LabelColumns:
    """Return the columns of a table by its beginning, and tell of them."""
    if delimiter == "\t":
        ended, _, cut = head.rpartition("\n")
        whole = [line.rstrip("\r") for line in (ended or cut).split("\n")]
        rows = [line.split("\t") for line in whole if line.strip()][:_SAMPLE]
    else:
        rows = sample_rows(head, delimiter, most=_SAMPLE)
    if not rows:
        raise CorpusError(f"{lines.name} has no text with a label")
    if len(rows[0]) < 2:
        raise CorpusError(
            f"{lines.name} has no labels: its first line has one column. Labelled text is TSV, CSV "
            "or JSONL with a text and a label, or lines of a label, a space and a text"
        )
    columns, notice = columns_of_rows(lines.name, rows, known)
    if notice is not None:
        lines.counts.notice(notice)
    return columns


def _cell_labels(cell: str, separator: str | None) -> LabelValues:
    """Return the labels of a table's cell; an empty one has none."""
    parts = [cell] if separator is None else cell.split(separator)
    values = tuple(part.strip() for part in parts if part.strip())
    return LabelValues(values, is_list=separator is not None)


def _json_records(
    layout: JsonObjects, lines: CorpusLines, names: Sequence[str]
) -> Iterator[LabelledText]:
    columns = named_columns(names) if names else None
    for location, value in layout.located(lines):
        if not isinstance(value, dict):
            raise CorpusError(f"{location} is no object with a text and a label")
        if columns is None:
            columns, notice = columns_of_record(lines.name, value)
            if notice is not None:
                lines.counts.notice(notice)
        try:
            texts = [_text(field_value(value, each), each, location) for each in columns.texts]
        except KeyError as error:
            raise CorpusError(
                f"{location} has no field {error.args[0]!r}; it has {listed(field_names(value))}"
            ) from None
        try:
            label = field_value(value, columns.label)
        except KeyError:
            label = None
        labels = _json_labels(label, columns.label, location)
        yield LabelledText(
            tuple(replace_surrogates(text, lines.counts) for text in texts),
            labels._replace(
                values=tuple(replace_surrogates(each, lines.counts) for each in labels.values)
            ),
        )


def _text(value: Any, name: str, location: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise CorpusError(f"{location}: there is no text in {name!r}")
    return value


def _json_labels(value: Any, name: str, location: str) -> LabelValues:
    """Return the labels of a JSON value: a text, a number, true or false, or a list of them."""
    if isinstance(value, list):
        return LabelValues(
            tuple(dict.fromkeys(_json_label(each, name, location) for each in value)), is_list=True
        )
    if value is None or value == "":
        return LabelValues(())
    return LabelValues((_json_label(value, name, location),))


def _json_label(value: Any, name: str, location: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise CorpusError(f"{location}: {name!r} is no label: give a text, a number or a list of them")
