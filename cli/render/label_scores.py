"""Scores of labels: of each label, by confidence, and which are given for which."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from rich.cells import cell_len, set_cell_size

from tokenizer.quantities import format_count
from transformer.evaluation import CalibrationBin, LabelReport, PrecisionRecall
from transformer.evaluation.classification import Integers

from ..console import printable
from ..io.label_scores import ScoredLabels
from .evaluation import GAP, Evaluation, Row, wrapped

_MOST = 30  # labels in a table on a terminal, and confusions in a list
_LEAST_NAME = 4  # columns of a label's name over a column of numbers
_WIDE = 60  # columns of a terminal from which on words are written out


def evaluation_of_labels(found: ScoredLabels) -> Evaluation:
    """Return the evaluation of a classifier."""
    result, report = Evaluation(found.read, found.counts), found.report
    result.add_scores(report.scores, texts=found.texts)
    if report.labels:
        result.parts.append(LabelTable(report.labels))
        result.record["labels"] = {name: per_cent(s) for name, s in report.labels.items()}
    if report.bins:
        result.parts.append(_Calibration(report.bins))
        result.record["calibration"] = [per_cent(each) for each in report.bins]
    if report.confusion_LL is not None:
        result.parts.append(_Confusion.of(report))
        matrix = {"labels": [*report.names], "texts": report.confusion_LL.tolist()}
        result.record["confusion"] = matrix
    return result


class LabelTable(NamedTuple):
    """The scores of each label, of what there are so many of."""

    labels: dict[str, PrecisionRecall]
    unit: str = "text"

    def rows(self) -> Iterator[Row]:
        """See Part."""
        for name, (precision, recall, f1, support) in self.labels.items():
            remark = f"precision {100 * precision:.2f}, recall {100 * recall:.2f}"
            size = format_count(support, self.unit)
            yield f"f1 of {_shown(name)}", f"{100 * f1:.2f}", f"{remark}; {size}"

    def lines(self, width: int) -> Iterator[str]:
        """See Part."""
        most = sorted(self.labels.items(), key=lambda item: -item[1].support)[:_MOST]
        kept = {name for name, _ in most}
        precision = "precision" if width >= _WIDE else "prec."
        header = ["label", precision, "recall", "F1", f"{self.unit}s"]
        yield from _grid(
            header,
            [
                [_shown(name), *(f"{100 * x:.2f}" for x in scores[:3]), f"{scores.support:,}"]
                for name, scores in self.labels.items()
                if name in kept
            ],
            width,
        )
        if rest := len(self.labels) - len(kept):
            size = sum(s.support for name, s in self.labels.items() if name not in kept)
            more = f"{format_count(rest, 'more label')}, of {format_count(size, self.unit)}"
            yield from wrapped(f"… {more}: --json has all", width)


class _Calibration(NamedTuple):
    """Accuracy by confidence."""

    bins: Sequence[CalibrationBin]

    def rows(self) -> Iterator[Row]:
        for confidence, accuracy, texts in self.bins:
            name = f"accuracy at confidence {100 * confidence:.2f}"
            yield name, f"{100 * accuracy:.2f}", format_count(texts, "text")

    def lines(self, width: int) -> Iterator[str]:
        rows = [[f"{100 * c:10.2f}", f"{100 * a:.2f}", f"{n:,}"] for c, a, n in self.bins]
        yield from _grid(["confidence", "accuracy", "texts"], rows, width)


class _Confusion(NamedTuple):
    """The numbers of texts by label and by the label that they are given."""

    counts_LL: Integers  # of the labels that a text has, or is given
    names: list[str]

    @classmethod
    def of(cls, report: LabelReport) -> "_Confusion":
        counts_LL = report.confusion_LL
        assert counts_LL is not None
        used = np.flatnonzero(counts_LL.sum(0) + counts_LL.sum(1))
        return cls(counts_LL[np.ix_(used, used)], [_shown(report.names[n]) for n in used.tolist()])

    def rows(self) -> Iterator[Row]:
        for number, name in enumerate(self.names):
            counts_L = self.counts_LL[number]
            others = [n for n in np.argsort(-counts_L, kind="stable") if n != number]
            given = [f"{self.names[n]}: {counts_L[n]:,}" for n in others if counts_L[n]]
            remark = f"of {format_count(int(counts_L.sum()), 'text')}"
            instead = f"; given instead: {', '.join(given)}" if given else ""
            yield f"right of {name}", f"{counts_L[number]:,}", remark + instead

    def lines(self, width: int) -> Iterator[str]:
        size, digits = len(self.names), len(f"{self.counts_LL.max():,}")
        longest = max(map(cell_len, self.names))
        room = (width - 1 - min(longest, width // 3)) // size - len(GAP)
        if room < max(digits, min(longest, _LEAST_NAME)):
            yield from self._largest(width)
            return
        yield from wrapped("rows: the labels of the texts; columns: those that are given", width)
        header = ["", *(_cut(name, max(digits, room)) for name in self.names)]
        counts = self.counts_LL.tolist()
        rows = [
            [name, *(f"{each:,}" for each in row)]
            for name, row in zip(self.names, counts, strict=True)
        ]
        yield from _grid(header, rows, width)

    def _largest(self, width: int) -> Iterator[str]:
        """Yield the largest confusions."""
        counts_LL = self.counts_LL * ~np.eye(len(self.names), dtype=bool)
        order = np.argsort(-counts_LL, axis=None, kind="stable")
        wrong = int((counts_LL > 0).sum())
        pairs = [divmod(int(n), len(self.names)) for n in order[: min(wrong, _MOST)]]
        names = self.names
        head = "most frequent confusions" if wrong else "no confusions: all texts are right"
        yield from wrapped(head, width)
        digits = len(f"{counts_LL.max():,}")
        for n, m in pairs:
            count = f"{counts_LL[n, m]:,}".rjust(digits)
            text = f"{count}{GAP}{names[n]} given {names[m]}"
            yield from wrapped(text, width, " " * (digits + len(GAP)))
        if rest := wrong - len(pairs):
            texts = int(counts_LL.sum()) - sum(int(counts_LL[pair]) for pair in pairs)
            more = f"{rest:,} more, of {format_count(texts, 'text')}"
            yield from wrapped(f"… {more}: --json has all", width)


def _grid(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """Yield the lines of a table, the first column on the left, which is cut where it must be."""
    table = [header, *rows]
    widths = [max(map(cell_len, column)) for column in zip(*table, strict=True)]
    room = width - 1 - sum(len(GAP) + each for each in widths[1:])
    widths[0] = min(widths[0], max(_LEAST_NAME, room))
    for first, *others in table:
        cells = [set_cell_size(_cut(first, widths[0]), widths[0])]
        for cell, each in zip(others, widths[1:], strict=True):
            cells.append(" " * (each - cell_len(cell)) + cell)
        yield GAP.join(cells).rstrip()


def _cut(name: str, width: int) -> str:
    return name if cell_len(name) <= width else f"{set_cell_size(name, width - 1)}…"


def _shown(name: str) -> str:
    """Return a label as it is shown: in a line, without what terminals obey."""
    return printable(" ".join(name.split()))


def per_cent(found: CalibrationBin | PrecisionRecall) -> dict[str, Any]:
    """Return fields for JSON, of which fractions are in per cent."""
    fields = found._asdict()
    return {k: 100 * x if isinstance(x, float) else x for k, x in fields.items()}
