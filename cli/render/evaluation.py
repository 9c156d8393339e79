"""Scores of evaluations, as rows of text and as JSON."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tokenizer import CorpusCounts
from transformer.evaluation import Comparison, Score, TextLikelihood

Row = tuple[str, str, str]  # a name, a value and a remark


@dataclass
class Evaluation:
    """The scores of a text, and what happened to it."""

    read: CorpusCounts
    counts: Counter[str]
    rows: list[Row] = field(default_factory=list)
    record: dict[str, Any] = field(default_factory=dict)

    def add_scores(self, scores: dict[str, Score], lines: int) -> None:
        """Add the scores of translations."""
        self.rows += [_score_row(score, score.name) for score in scores.values()]
        self.record |= {**_score_fields(scores), "lines": lines}

    def add_comparison(
        self, model: str, scores: dict[str, Score], comparisons: dict[str, Comparison]
    ) -> None:
        """Add the scores of another model, and the differences from it."""
        self.rows += [_score_row(s, f"{s.name} of {model}") for s in scores.values()]
        for name, compared in comparisons.items():
            remark = f"{_verdict(compared)} | {compared.signature}"
            self.rows.append((f"{name} difference", f"{compared.difference:+.2f}", remark))
        fields = _score_fields(scores)
        for name, compared in comparisons.items():
            test = {
                "difference": compared.difference,
                "p_value": compared.p_value,
                "significant": compared.is_significant,
            }
            fields[name] |= {**test, "test": compared.signature}
        self.record["versus"] = {"model": model, **fields}

    def add_likelihood(self, found: TextLikelihood) -> None:
        """Add the likelihood of running text."""
        likelihood, size = found.likelihood, found.num_bytes
        tokens = f"{likelihood.tokens:,} tokens"
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
        self.rows.append(("bits-per-byte", f"{bits:.4f}", f"{size:,} bytes"))
        self.record |= {"bits_per_byte": bits, "bytes": size}

    def json_record(self) -> dict[str, Any]:
        """Return the JSON record, with the number of lines for each notice, and those of files."""
        noted: dict[str, Any] = {name: count for name, count in self.counts.items() if count}
        if self.read.notices:
            noted["files"] = self.read.notices
        return {**self.record, **({"notices": noted} if noted else {})}


def _score_row(score: Score, name: str) -> Row:
    return name, f"{score.value:.2f}", f"{score.details} | {score.signature}"


def _verdict(compared: Comparison) -> str:
    if not compared.difference:
        return "no difference"
    chance = "significant" if compared.is_significant else "may be chance"
    return f"p = {compared.p_value:.4f}, {chance}"


def _score_fields(scores: dict[str, Score]) -> dict[str, Any]:
    return {s.name: {"score": s.value, "signature": s.signature} for s in scores.values()}
