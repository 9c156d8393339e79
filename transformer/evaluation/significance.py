"""Significance of the difference between two models' translations, by sacreBLEU's bootstrap."""

from collections.abc import Sequence
from typing import NamedTuple

from ..errors import ConfigError
from .bleu_tokenization import AUTO, tokenization_of
from .translation import check_tokenization

MAX_LINES = 20_000  # sacreBLEU holds a thousand samples of all lines in memory: 1.6 GB of so many
SIGNIFICANT = 0.05  # the largest p of a difference that is called so


class Comparison(NamedTuple):
    """The difference between two systems in one metric.

    `p_value` is the probability of a difference as large if both were equally good: paired
    bootstrap resampling, Koehn 2004 (W04-3250). It is 1 where there is no difference, for which
    sacreBLEU's own is small.
    """

    difference: float  # the first system's score, less the second's
    p_value: float
    signature: str  # with the number of samples and their seed

    @property
    def is_significant(self) -> bool:
        """True if chance alone makes such a difference in less than one of 20 cases."""
        return self.p_value < SIGNIFICANT


def check_comparable(lines: int) -> None:
    """Raise ConfigError for more lines than can be compared in memory."""
    if lines > MAX_LINES:
        raise ConfigError(
            f"--versus compares at most {MAX_LINES:,} lines, which take 1.6 GB; these are {lines:,}"
        )


def compare_translations(
    hypotheses: Sequence[str],
    others: Sequence[str],
    references: Sequence[str],
    *,
    tokenize: str = AUTO,
) -> dict[str, Comparison]:
    """Compare two systems' translations of the same lines in BLEU and chrF, by name.

    Raises MissingExtraError without sacreBLEU, ConfigError for an unknown tokenization and for too
    many lines.
    """
    check_tokenization(tokenize)
    check_comparable(len(references))
    from sacrebleu.metrics.bleu import BLEU  # noqa: PLC0415  (an extra)
    from sacrebleu.metrics.chrf import CHRF  # noqa: PLC0415
    from sacrebleu.significance import PairedTest  # noqa: PLC0415

    if tokenize == AUTO:
        tokenize = tokenization_of(references)
    metrics = {"bleu": BLEU(tokenize=tokenize, force=True), "chrf": CHRF()}
    compared = {}
    for name, metric in metrics.items():
        # The second comes first, as the baseline: p is of the other one's difference from it.
        systems: list[tuple[str, Sequence[str]]] = [("second", others), ("first", hypotheses)]
        test = PairedTest(systems, {name: metric}, [list(references)], test_type="bs")
        signatures, results = test()
        (title,) = signatures
        baseline, result = (each for each in results[title] if not isinstance(each, str))
        assert result.p_value is not None
        difference = result.score - baseline.score
        p_value = result.p_value if difference else 1.0
        compared[name] = Comparison(difference, p_value, str(signatures[title]))
    return compared
