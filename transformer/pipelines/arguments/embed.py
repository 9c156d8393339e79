"""Arguments of embedding texts."""

from dataclasses import dataclass

from .argument import argument, check_bounds


@dataclass(frozen=True, kw_only=True)
class EmbedArguments:
    """Arguments of embedding texts. None: the model's own setting."""

    pooling: str | None = argument(
        None,
        "--pooling NAME",
        "Combine the states of a text's tokens: their mean, the first, or the max of each "
        "dimension. Default: the model's own, or mean.",
    )
    normalize: bool | None = argument(
        None,
        "--normalize/--no-normalize",
        "Scale each vector to length 1, or not. Default: the model's own, or scale.",
    )
    batch_tokens: int = argument(
        4096, "--batch-tokens N", "Most tokens of a batch: its lines times the longest.", min=1
    )

    def __post_init__(self) -> None:
        """Raise ConfigError for a number out of bounds and for an unknown pooling."""
        from ..embedding import POOLINGS

        check_bounds(self)
        if self.pooling is not None:
            POOLINGS.check(self.pooling)
