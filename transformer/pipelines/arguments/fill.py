"""Arguments of filling in masks."""

from dataclasses import dataclass

from .argument import argument, batch_argument, check_values, global_tokens_argument


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
    global_tokens: int | None = global_tokens_argument()
    batch_tokens: int = batch_argument()

    def __post_init__(self) -> None:
        """Raise ConfigError for a number out of bounds."""
        check_values(self)
