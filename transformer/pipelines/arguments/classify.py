"""Arguments of classifying texts."""

from dataclasses import dataclass

from .argument import argument, batch_argument, check_values, global_tokens_argument


@dataclass(frozen=True, kw_only=True)
class ClassifyArguments:
    """Arguments of classifying texts."""

    top_k: int | None = argument(
        None,
        "--top-k N",
        "Give the N most probable labels. Default: the most probable one, or all above "
        "--threshold where a text may have several.",
        min=1,
        panel="Output",
    )
    threshold: float = argument(
        0.5,
        "--threshold P",
        "Where a text may have several labels, give those of at least this probability.",
        min=0.0,
        max=1.0,
        panel="Output",
    )
    pairs: bool = argument(
        False,
        "--pairs",
        "Each line is two texts with a tab between them, for models trained on pairs. JSON records "
        "have the second text as text_pair, without this option.",
        panel="Input",
    )
    global_tokens: int | None = global_tokens_argument()
    batch_tokens: int = batch_argument()

    def __post_init__(self) -> None:
        """Raise ConfigError for a number out of bounds."""
        check_values(self)
