"""Scores of evaluations, as rows of text, as a table of two models, and as JSON."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tokenizer import CorpusCounts
from tokenizer.quantities import format_count
from transformer.evaluation import SIGNIFICANT, Comparison, Likelihood, Score, TextLikelihood

from ..io.pair_scores import ScoredPairs

GAP = "  "  # between columns
_LEAST_NAME = 10  # columns of a terminal that a model's name has at least
_LEAST_REMARK = 40  # likewise, of a remark beside its score

Row = tuple[str, str, str]  # a name, a value and a remark


class Part(Protocol):
    """A further part of an evaluation, such as a table of labels."""

    def rows(self) -> Iterable[Row]:
        """Return its rows, for a pipe or a file."""
        ...

    def lines(self, width: int) -> Iterable[str]:
        """Return its lines on a terminal of that width."""
        ...


class _Compared(NamedTuple):
    """A metric's scores of two models."""

    score: Score
    versus: Score
    comparison: Comparison


@dataclass
class Evaluation:
    """The scores of a text, and what happened to it."""

    read: CorpusCounts
    counts: Counter[str]
    rows: list[Row] = field(default_factory=list)
    record: dict[str, Any] = field(default_factory=dict)
    models: tuple[str, str] = ("", "")  # that are compared
    compared: dict[str, _Compared] = field(default_factory=dict)  # by metric
    parts: list[Part] = field(default_factory=list)

    def lines(self, width: int | None) -> Iterator[str]:
        """Yield the lines to print: for a terminal of that width, or for a pipe or a file."""
        if width is None:
            rows = chain(self.rows, *(part.rows() for part in self.parts))
            yield from ("\t".join(row) for row in rows)
        elif self.compared:
            yield from _table(self.models, self.compared, width)
            verdicts = [f"{n[:-2]}, {v}" for n, _, v in self.rows if n.endswith(" p")]
            yield from ("", *(line for text in verdicts for line in wrapped(text, width, GAP)))
            remarks = [f"{n}: {r}" for n, _, r in self.rows if r and not n.endswith(" p")]
            yield from ("", *(line for text in remarks for line in wrapped(text, width, GAP)))
        else:
            names, values = (max(len(row[n]) for row in self.rows) for n in (0, 1))
            for name, value, remark in self.rows:
                head = f"{name:<{names}}{GAP}{value:>{values}}{GAP}"
                room = width - len(head) >= _LEAST_REMARK
                yield from wrapped(head + remark, width, " " * len(head) if room else GAP)
            for part in self.parts:
                yield ""
                yield from part.lines(width)

    def add_scores(self, scores: dict[str, Score], **sizes: int) -> None:
        """Add scores, and the numbers of what they are of."""
        self.rows += [_score_row(score, score.name) for score in scores.values()]
        self.record |= {**_score_fields(scores), **sizes}

    def add_comparison(self, models: tuple[str, str], found: ScoredPairs) -> None:
        """Add the scores of another model, and the differences from it."""
        self.models, scores = models, found.versus
        self.rows += [_score_row(s, f"{s.name} of {models[1]}") for s in scores.values()]
        fields = _score_fields(scores)
        for name, compared in found.comparisons.items():
            self.compared[name] = _Compared(found.scores[name], scores[name], compared)
            self.rows += [
                (f"{name} difference", f"{compared.difference:+.2f}", compared.signature),
                (f"{name} p", f"{compared.p_value:.4f}", _verdict(compared, models)),
            ]
            test = {
                "difference": compared.difference,
                "p_value": compared.p_value,
                "significant": compared.is_significant,
            }
            fields[name] |= {**test, "test": compared.signature}
        self.record["versus"] = {"model": models[1], **fields}

    def add_likelihood(self, found: TextLikelihood) -> None:
        """Add the likelihood of running text."""
        likelihood, size = found.likelihood, found.num_bytes
        tokens = f"{format_count(likelihood.tokens, 'token')}, document ends included"
        self.rows += [
            ("loss", f"{likelihood.loss:.4f}", f"nats a token, {tokens}"),
            ("perplexity", f"{likelihood.perplexity:.3f}", tokens),
        ]
        self.record |= {
            "loss": likelihood.loss,
            "perplexity": likelihood.perplexity,
            "tokens": likelihood.tokens,
        }
        if size is None:
            return
        bits = likelihood.bits_per_byte(size)
        self.rows.append(("bits-per-byte", f"{bits:.4f}", format_count(size, "byte")))
        self.record |= {"bits_per_byte": bits, "bytes": size}

    def add_loss(self, found: Likelihood, unit: str, signature: str) -> None:
        """Add the mean loss of what an objective predicts, of which the unit is a token or a text.

        Of tokens, perplexity is e to the loss.
        """
        size = format_count(found.tokens, unit)
        self.rows.append(("loss", f"{found.loss:.4f}", f"nats a {unit}, {size} | {signature}"))
        self.record |= {"loss": found.loss, f"{unit}s": found.tokens, "signature": signature}
        if unit == "token":
            self.rows.append(("perplexity", f"{found.perplexity:.3f}", f"e to the loss, {size}"))
            self.record["perplexity"] = found.perplexity

    def json_record(self) -> dict[str, Any]:
        """Return the JSON record, with the number of lines for each notice, and those of files."""
        noted: dict[str, Any] = {name: count for name, count in self.counts.items() if count}
        if self.read.notices:
            noted["files"] = self.read.notices
        return {**self.record, **({"notices": noted} if noted else {})}


def _verdict(compared: Comparison, models: tuple[str, str]) -> str:
    """Return what a test says, in words."""
    if not compared.is_significant:
        return "not significant: the difference may be chance"
    return f"significant: {models[compared.difference < 0]} is better"


def _score_row(score: Score, name: str) -> Row:
    remark = " | ".join(filter(None, (score.details, score.signature)))
    return name, f"{score.value:.2f}", remark


def _score_fields(scores: dict[str, Score]) -> dict[str, Any]:
    return {s.name: {"score": s.value, "signature": s.signature} for s in scores.values()}


def evaluation_of_pairs(
    found: ScoredPairs, models: Sequence[Path], versus: Path | None
) -> Evaluation:
    """Return the evaluation of models that translate together, and of one that is compared."""
    result = Evaluation(found.read, found.counts)
    result.add_scores(found.scores, lines=found.lines)
    if versus is not None:
        result.add_comparison((" + ".join(map(str, models)), str(versus)), found)
    return result


def _table(models: tuple[str, str], compared: dict[str, _Compared], width: int) -> Iterator[str]:
    """Yield the lines of a table: a column for each metric, a row for each model."""
    columns = [_column(name, each) for name, each in compared.items()]
    widths = [max(map(len, column)) for column in columns]
    names = ["", *models, "difference", "p"]
    room = width - 1 - sum(len(GAP) + w for w in widths)
    room = max(_LEAST_NAME, min(max(map(len, names)), room))
    for name, *row in zip(names, *columns, strict=True):
        shown = name if len(name) <= room else f"…{name[1 - room :]}"
        values = (value.rjust(w) for value, w in zip(row, widths, strict=True))
        yield GAP.join([f"{shown:<{room}}", *values]).rstrip()
    yield from wrapped(f"* p < {SIGNIFICANT}: significant; a larger p may be chance", width, "")


def _column(name: str, compared: _Compared) -> list[str]:
    """Return a metric's cells: its name, two scores, their difference and p, marked or not."""
    score, versus, test = compared
    values = [f"{score.value:.2f}", f"{versus.value:.2f}", f"{test.difference:+.2f}"]
    p = f"{test.p_value:.4f}{'*' if test.is_significant else ' '}"
    return [*(f"{value} " for value in [name, *values]), p]


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """Return the lines of a text on a terminal."""
    return textwrap.wrap(text, max(20, width - 1), subsequent_indent=indent)
