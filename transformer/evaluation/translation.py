"""BLEU and chrF by sacreBLEU, with the signatures that make scores comparable."""

import importlib.util
from collections.abc import Sequence
from typing import NamedTuple

from ..errors import ConfigError, MissingExtraError


class Score(NamedTuple):
    """A corpus-level score with sacreBLEU's signature, which records how it was computed."""

    name: str
    value: float
    signature: str
    details: str


def can_score_translations() -> bool:
    """Return True if sacreBLEU is installed."""
    return importlib.util.find_spec("sacrebleu") is not None


def check_tokenization(name: str) -> None:
    """Raise MissingExtraError without sacreBLEU, ConfigError for a tokenization it lacks."""
    try:
        from sacrebleu.metrics.bleu import BLEU  # noqa: PLC0415  (an extra)
    except ImportError:
        raise MissingExtraError("BLEU and chrF", "sacrebleu", extra="eval") from None
    if name not in BLEU.TOKENIZERS:
        allowed = ", ".join(sorted(BLEU.TOKENIZERS))
        raise ConfigError(f"sacreBLEU has no tokenization {name!r}; allowed: {allowed}")


def translation_scores(
    hypotheses: Sequence[str], references: Sequence[str], *, tokenize: str = "13a"
) -> dict[str, Score]:
    """Compute BLEU (arXiv 1804.08771) and chrF (WMT 2015) of a corpus, by name.

    Raises MissingExtraError without sacreBLEU, ConfigError for an unknown tokenization.
    """
    check_tokenization(tokenize)
    from sacrebleu.metrics.bleu import BLEU  # noqa: PLC0415  (an extra)
    from sacrebleu.metrics.chrf import CHRF  # noqa: PLC0415

    if len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses for {len(references)} references")
    metrics = {"bleu": BLEU(tokenize=tokenize, force=True), "chrf": CHRF()}
    scores = {}
    for name, metric in metrics.items():
        result = metric.corpus_score(list(hypotheses), [list(references)])
        signature = str(metric.get_signature())
        scores[name] = Score(name, result.score, signature, str(result))
    return scores
