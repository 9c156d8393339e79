"""Columns of words and tags, as CoNLL and CoNLL-U have them; comments are skipped."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from tokenizer import CorpusError, is_blank
from tokenizer.quantities import format_count
from tokenizer.text import CorpusLines, listed, replace_surrogates

from .schemes import span_tag

_DOCUMENT = "-DOCSTART-"  # CoNLL-2003's first word of a document
_NO_WORD = re.compile(r"[0-9]+[-.][0-9]+")  # CoNLL-U's number of a range, or of an empty node


class _NumberedLine(NamedTuple):
    number: int
    text: str

    @property
    def ends_sentence(self) -> bool:
        return is_blank(self.text) or self.text.startswith(_DOCUMENT)


def read_sentences(
    lines: CorpusLines, names: Sequence[str], altered: Counter[str]
) -> Iterator[list[tuple[str, str]]]:
    """Yield the words and tags of each sentence of a file; a blank line ends one.

    The first row that does not begin with `#` decides on the separator, a tab or blanks, and on the
    number of columns, which the others share; where columns are named, as sentences of CoNLL-2012
    differ, those of its sentence do. A line that begins with `#` is a comment or a word:

    - With another number of columns it is a comment, unless within a sentence a word that begins
      with `#`, such as `#win`, is short of its tag: that is an error.
    - With as many columns it is a word, `#` or `#win`, except for `# `, a blank after it, before a
      sentence's first word: that is a comment, `# newdoc`, unless it ends in a tag of spans, `# O`.

    Rows numbered `1-2` or `1.1` beside others numbered `1` are CoNLL-U's ranges and empty nodes,
    which repeat words or have none. `altered` counts what is skipped. Raises CorpusError.
    """
    numbered = (_NumberedLine(lines.number, text) for text in lines)
    early, first = _until_row(numbered)
    if first is None:
        return
    rows = _Rows(first, lines, names)
    sentence: list[list[str]] = []
    for line in chain(early, numbered):
        if line.ends_sentence:
            yield rows.words(sentence, altered)
            sentence = []
            continue
        cells = rows.split(line.text)
        if line.text.startswith("#") and rows.is_comment(line.text, cells, within=bool(sentence)):
            altered["comment lines skipped"] += 1
            continue
        rows.check(line.number, cells, within=bool(sentence))
        sentence.append(cells)
    yield rows.words(sentence, altered)


def _until_row(lines: Iterator[_NumberedLine]) -> tuple[list[_NumberedLine], _NumberedLine | None]:
    """Return the lines up to the first row that is no comment, and the row to take columns from.

    Where all lines begin with `#`, that is one without a blank after it, or else the first.
    """
    early: list[_NumberedLine] = []
    for line in lines:
        early.append(line)
        if not (line.ends_sentence or line.text.startswith("#")):
            return early, line
    marked = [line for line in early if not line.ends_sentence]
    likely = [line for line in marked if not line.text.startswith("# ")]
    return early, next(iter(likely or marked), None)


class _Rows:
    """The rows of a file: how they are cut, and which of their columns are word and tag."""

    def __init__(self, first: _NumberedLine, lines: CorpusLines, names: Sequence[str]) -> None:
        if not all(name.isdecimal() and int(name) for name in names):
            raise CorpusError(
                f"{lines.name} has columns: give their numbers from 1, not {listed(names)}"
            )
        self._lines, self._named = lines, bool(names)
        self._separator = "\t" if "\t" in first.text else None
        self._first, self._width = first.number, 0
        self._width = len(self.split(first.text))
        self._word, self._tag = [int(name) - 1 for name in names] or (0, self._width - 1)
        if self._width > 2 and not names:
            lines.counts.notice(
                f"{lines.name} has {format_count(self._width, 'column')}: the first is the word, "
                "the last the tag (--columns)"
            )

    def split(self, text: str) -> list[str]:
        """Return the cells of a line, without empty ones that the first row does not have."""
        cells = text.rstrip(" \r").split(self._separator)
        while len(cells) > self._width > 0 and is_blank(cells[-1]):
            cells.pop()
        return cells

    def is_comment(self, text: str, cells: Sequence[str], *, within: bool) -> bool:
        """Tell if a line that begins with `#` is a comment, within a sentence or before one."""
        apart = text.rstrip() == "#" or text.startswith("# ")
        if len(cells) != self._width:
            return apart or not within
        if within or not apart or self._tag >= self._width:
            return False
        tag = cells[self._tag].strip()
        return "=" in cells or span_tag(tag) != tag

    def check(self, number: int, cells: Sequence[str], *, within: bool) -> None:
        """Raise CorpusError for a row without word and tag, or with other columns than before."""
        location = f"{self._lines.name}, line {number}"
        columns = format_count(len(cells), "column")
        if len(cells) <= max(self._word, self._tag, 1):
            raise CorpusError(f"{location} has {columns}: {self._remedy}")
        if self._named and not within:
            self._first, self._width = number, len(cells)
        if len(cells) != self._width:
            raise CorpusError(
                f"{location} has {columns}, line {self._first} has {self._width:,}: {self._remedy}"
            )

    @property
    def _remedy(self) -> str:
        return f"a word and its tag are separated by a {'tab' if self._separator else 'space'}"

    def words(
        self, sentence: Sequence[Sequence[str]], altered: Counter[str]
    ) -> list[tuple[str, str]]:
        """Return the words and tags of a sentence, without CoNLL-U's rows that are no words."""
        kept = [cells for cells in sentence if not _NO_WORD.fullmatch(cells[0])]
        if self._word and kept and all(cells[0].isdecimal() for cells in kept):
            if len(kept) < len(sentence):
                altered["ranges and empty nodes skipped"] += len(sentence) - len(kept)
            sentence = kept
        return [
            (replace_surrogates(cells[self._word], self._lines.counts), cells[self._tag].strip())
            for cells in sentence
        ]
