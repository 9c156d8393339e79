"""BLEU and chrF by sacreBLEU, with the signatures that make scores comparable."""

import importlib.util
from collections.abc import Sequence
from typing import Any

from tokenizer import CorpusError

from ..errors import ConfigError, MissingExtraError
from .bleu_tokenization import AUTO, tokenization_of
from .score import Score

_MIN_MATCHES = 10  # of each n-gram order: BLEU's standard error from 10 matches is 1 / (4·√10), 8%
_MIN_GAIN = 0.02  # of the way from chance to a perfect score
_CHANCE_LINES = 500  # that are compared with references of other lines, spread over the corpus


def can_score_translations() -> bool:
    """Return True if sacreBLEU is installed."""
    return importlib.util.find_spec("sacrebleu") is not None


def check_tokenization(name: str) -> None:
    """Raise MissingExtraError without sacreBLEU, ConfigError for a tokenization it lacks."""
    try:
        from sacrebleu.metrics.bleu import BLEU  # noqa: PLC0415  (an extra)
    except ImportError:
        raise MissingExtraError("BLEU and chrF", "sacrebleu", extra="eval") from None
    if name == AUTO:
        return
    if name not in BLEU.TOKENIZERS:
        allowed = ", ".join([AUTO, *sorted(BLEU.TOKENIZERS)])
        raise ConfigError(f"sacreBLEU has no tokenization {name!r}; allowed: {allowed}")
    try:
        BLEU(tokenize=name)
    except (RuntimeError, ImportError, OSError) as error:  # another package, or a download
        raise ConfigError(f"the tokenization {name} cannot be used here: {error}") from None


def translation_scores(
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    tokenize: str = AUTO,
    compare_with_chance: bool = False,
) -> dict[str, Score]:
    """Compute BLEU (arXiv 1804.08771) and chrF (WMT 2015) of a corpus, by name.

    `auto` tokenizes by the script of the references. With `compare_with_chance`, scores say if
    they carry information. Raises MissingExtraError without sacreBLEU, ConfigError for an unknown
    tokenization, CorpusError without texts.
    """
    check_tokenization(tokenize)
    from sacrebleu.metrics.bleu import BLEU  # noqa: PLC0415  (an extra)
    from sacrebleu.metrics.chrf import CHRF  # noqa: PLC0415

    if len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses for {len(references)} references")
    if not references:
        raise CorpusError("no texts to compare: there is not a line")
    if tokenize == AUTO:
        tokenize = tokenization_of(references)
    metrics = {"bleu": BLEU(tokenize=tokenize, force=True), "chrf": CHRF()}
    scores = {}
    for name, metric in metrics.items():
        result = metric.corpus_score(list(hypotheses), [list(references)])
        signature, informative = str(metric.get_signature()), True
        if compare_with_chance:
            matches = min(getattr(result, "counts", [_MIN_MATCHES]))
            chance = _chance(metric, hypotheses, references)
            gain = (result.score - chance) / max(1e-9, 100 - chance)
            informative = matches >= _MIN_MATCHES and gain >= _MIN_GAIN
        scores[name] = Score(name, result.score, signature, str(result), informative)
    return scores


def _chance(metric: Any, hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """Return the score of texts with the references of lines half the corpus away."""
    lines = range(0, len(hypotheses), -(-len(hypotheses) // _CHANCE_LINES))
    shift = len(hypotheses) // 2  # not to the next line: in sorted text neighbours are alike
    others = [references[(line + shift) % len(references)] for line in lines]
    return float(metric.corpus_score([hypotheses[line] for line in lines], [others]).score)
