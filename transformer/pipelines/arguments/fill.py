"""Arguments of filling in masks."""

from dataclasses import dataclass

from .argument import argument, check_values


@dataclass(frozen=True, kw_only=True)
class FillArguments:
    """Arguments of filling in the masks of texts."""

    top_k: int = argument(
        5,
        "--top-k N",
        "Give the N most probable tokens for each mask.",
        min=1,
        panel="Output",
    )
    batch_tokens: int = argument(
        4096,
        "--batch-tokens N",
        "Most tokens of a batch: its lines times the longest.",
        min=1,
        panel="Running",
    )

    def __post_init__(self) -> None:
        """Raise ConfigError for a number out of bounds."""
        check_values(self)
