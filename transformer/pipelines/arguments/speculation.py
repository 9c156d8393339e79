"""Arguments of speculative decoding."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ...errors import ConfigError
from .argument import argument, check_values

_argument = partial(argument, panel="Speculative decoding")


@dataclass(frozen=True, kw_only=True)
class SpeculationArguments:
    """Arguments of drafting several tokens at once, which the model then verifies."""

    draft: Path | None = _argument(
        None,
        "--draft MODEL",
        "Smaller model with the same tokens, which guesses ahead: the same text, sooner. "
        "Needs greedy search or sampling.",
    )
    lookup: bool = _argument(
        False,
        "--lookup",
        "Prompt lookup: draft what followed the last tokens earlier in the text, prompt "
        "or source: the same text, sooner. Needs greedy search or sampling.",
    )
    draft_tokens: int | None = _argument(
        None,
        "--draft-tokens N",
        "Tokens that --draft or --lookup guesses at a time. Default: 8.",
        min=1,
    )

    def __post_init__(self) -> None:
        """Raise ConfigError for arguments that contradict each other or would have no effect."""
        check_values(self)
        if self.draft is not None and self.lookup:
            raise ConfigError("only one of --draft and --lookup can be given")
        if self.draft_tokens is not None and not self.is_enabled:
            raise ConfigError("--draft-tokens needs --draft or --lookup")

    @property
    def is_enabled(self) -> bool:
        """True if decoding is to be speculative."""
        return self.draft is not None or self.lookup
