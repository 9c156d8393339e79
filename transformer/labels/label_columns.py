"""The columns of labelled text: which are texts, which is the label, by their names or contents."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from tokenizer import CorpusError, is_blank
from tokenizer.quantities import format_count
from tokenizer.text import field_names, listed

from .inventory import is_number

# The names of published data sets, in the order in which they are tried.
TEXT_NAMES = (
    ("text", "text_pair"),
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("text1", "text2"),
    ("query", "passage"),
    ("text_a", "text_b"),
    ("text",),
    ("sentence",),
    ("review",),
    ("content",),
    ("question",),
)
LABEL_NAMES = (
    "label", "labels", "score", "class", "category", "sentiment", "intent", "rating", "target",
)  # fmt: skip
_MIN_ROWS = 5  # in which a header's label would come up again, were it one
_LABELLED = re.compile(r"(\S+) +(\S.*)")
FASTTEXT = "__label__"
_SHARE = 0.5  # of lines, which may begin with different labels


class LabelColumns(NamedTuple):
    """The names or numbers of the columns that are read."""

    texts: tuple[str, ...]  # one, or the two of a pair
    label: str

    @property
    def names(self) -> tuple[str, ...]:
        """All columns, the label's last."""
        return (*self.texts, self.label)


def named_columns(names: Sequence[str]) -> LabelColumns:
    """Return the columns that a user names: a text or two, and the label. Raises CorpusError."""
    if len(names) not in (2, 3):
        raise CorpusError(
            f"labelled text has two columns, text and label, or three, with a second text; these "
            f"are {format_count(len(names), 'name')}: {listed(names)}"
        )
    *texts, label = names
    return LabelColumns(tuple(texts), label)


def columns_of_record(name: str, record: Mapping[str, Any]) -> tuple[LabelColumns, str | None]:
    """Return the columns of JSON records by the fields of one, and what is to be told of it.

    Raises CorpusError where no names are known.
    """
    if (columns := _by_names(list(record))) is None:
        raise _unknown(name, field_names(record))
    return columns, _several_labels(name, columns, list(record))


def columns_of_rows(
    name: str, rows: Sequence[Sequence[str]], known: Collection[str] = ()
) -> tuple[LabelColumns, str | None]:
    """Return the columns of a table by its first rows, and what is to be told of the choice.

    They are those with known names, if the first row has such; else the label's column is the one
    with the most cells that are `known` labels, or if these are equal with the fewest different
    cells, or that of numbers, or the shortest. Raises CorpusError if there is no telling.
    """
    header = [cell.strip() for cell in rows[0]]
    if (columns := _by_names(header)) is not None:
        return columns, _several_labels(name, columns, header)
    if len(header) not in (2, 3):
        raise _unknown(name, header)
    label = _label_column(rows, known)
    others = [index for index in range(len(header)) if index != label]
    labels = [row[label].strip() for row in rows if len(row) == len(header)]
    if labels[0] not in known and _is_header(labels) and len({*header} - {""}) == len(header):
        texts = tuple(header[index] for index in others)
        return LabelColumns(texts, header[label]), (
            f"{name}: its first row is taken for names of columns, as its label {header[label]!r} "
            f"is like no other; --columns {','.join(str(n + 1) for n in (*others, label))} reads it"
        )
    columns = LabelColumns(tuple(str(index + 1) for index in others), str(label + 1))
    text = f"text is column {columns.texts[0]}"
    if len(others) > 1:
        text = f"texts are columns {' and '.join(columns.texts)}"
    return columns, (
        f"{name}: the label is column {columns.label}, with {len({*labels}):,} different in the "
        f"first {format_count(len(rows), 'row')}, the {text} (--columns)"
    )


def begins_with_labels(head: str) -> bool:
    """Return True for lines of a label, a space and a text, as TREC and fastText have them.

    Such lines have no tabs, and at most half as many labels as there are lines.

    >>> begins_with_labels("0 so bad\\n1 good !\\n0 no\\n1 fine\\n")
    True
    >>> begins_with_labels("A dog.\\n"), begins_with_labels("__label__a A dog.\\n")
    (False, True)
    """
    lines = [line for line in head.splitlines() if not is_blank(line)]
    lines = lines if head.endswith("\n") or len(lines) < 2 else lines[:-1]
    matches = [_LABELLED.fullmatch(line) for line in lines]
    if not lines or "\t" in head or lines[0][0] in "[{":
        return False
    if lines[0].startswith(FASTTEXT):
        return True
    labels = Counter(match[1] for match in matches if match)
    if any(label.endswith((",", ";")) for label in labels):  # CSV with spaces
        return False
    return labels.total() == len(lines) and len(labels) <= _SHARE * len(lines)


def split_label(line: str) -> tuple[tuple[str, ...], str]:
    """Return the labels at the beginning of a line, and the text after them.

    Several are fastText's alone. Without any, the text is empty too.

    >>> split_label("5 How far ?"), split_label("__label__a __label__b so")
    ((('5',), 'How far ?'), (('a', 'b'), 'so'))
    """
    if not line.startswith(FASTTEXT):
        match = _LABELLED.fullmatch(line.strip())
        return ((match[1],), match[2]) if match else ((), "")
    labels, rest = [], line
    while rest.startswith(FASTTEXT):
        label, _, rest = rest.removeprefix(FASTTEXT).partition(" ")
        labels.append(label)
        rest = rest.lstrip(" ")
    return tuple(labels), rest


def _by_names(names: Sequence[str]) -> LabelColumns | None:
    """Return the columns that have known names, in whatever case."""
    known = {name.lower(): name for name in reversed(names)}
    label = next((known[each] for each in LABEL_NAMES if each in known), None)
    texts = next((each for each in TEXT_NAMES if {*each} <= known.keys()), None)
    if label is None or texts is None:
        return None
    return LabelColumns(tuple(known[each] for each in texts), label)


def _several_labels(name: str, columns: LabelColumns, names: Sequence[str]) -> str | None:
    """Return what is to be told where others of the columns could be the label."""
    others = [each for each in names if each.lower() in LABEL_NAMES and each not in columns.names]
    if not others:
        return None
    return f"{name}: the label is {columns.label}, and {listed(others)} not read (--columns)"


def _label_column(rows: Sequence[Sequence[str]], known: Collection[str]) -> int:
    """Return the index of the column with the most known or the fewest different cells.

    Among equal ones, it is that of numbers, or the shortest.
    """
    width = len(rows[0])
    columns = list(zip(*(row for row in rows if len(row) == width), strict=True))
    keys = [
        (
            -sum(cell.strip() in known for cell in column),
            len({*column}),
            not all(is_number(cell.strip()) for cell in column[1:]),
            len("".join(column)),
        )
        for column in columns
    ]
    return keys.index(min(keys))


def _is_header(labels: Sequence[str]) -> bool:
    """Return True if a first label is unlike those below: no number, or alone in coming up once."""
    first, *rest = labels
    counts = Counter(rest)
    if not rest or first in counts:
        return False
    if all(map(is_number, counts)) and not is_number(first):
        return True
    return len(rest) >= _MIN_ROWS and min(counts.values()) > 1


def _unknown(name: str, names: Sequence[str]) -> CorpusError:
    return CorpusError(
        f"{name} has {listed(names)}: which are text and label? Name them, the label last, with "
        "--columns (TEXT,LABEL or TEXT,TEXT,LABEL)"
    )
