"""Arguments of scoring texts."""

from dataclasses import dataclass

from .argument import argument, batch_argument, check_values
from .languages import LanguageArguments
from .names import LENGTH_PENALTY_NAMES


@dataclass(frozen=True, kw_only=True)
class ScoreArguments(LanguageArguments):
    """Arguments of scoring texts by their likelihood."""

    length_penalty: float | None = argument(
        None,
        "--length-penalty A",
        "Exponent in score = log p / length^A, from -10 to 10; length is in tokens, with the "
        "end token. Default: the model's own, or 1.",
        min=-10.0,
        max=10.0,
        panel="Output",
    )
    length_penalty_kind: str = argument(
        "power",
        "--length-penalty-kind NAME",
        "Divisor of log p: length^A (power), or ((5 + length) / 6)^A (gnmt).",
        panel="Output",
        choices=LENGTH_PENALTY_NAMES,
    )
    batch_tokens: int = batch_argument(
        "Most tokens of a batch: its lines times the longest source or text."
    )

    def __post_init__(self) -> None:
        check_values(self)
