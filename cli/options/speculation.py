"""The options of speculative decoding."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .groups import option_field

if TYPE_CHECKING:
    from transformer.pipelines.speculation import Speculation

_option = partial(option_field, panel="Speculative decoding")


@dataclass(kw_only=True)
class SpeculationOptions:
    """Options of guessing several tokens at once, which the model then checks."""

    draft: Path | None = _option(
        None,
        "--draft MODEL",
        "Smaller model with the same tokens, which guesses ahead: the same text, sooner. "
        "Needs greedy search or sampling.",
    )
    lookup: bool = _option(
        False,
        "--lookup",
        "Prompt lookup: draft what followed the last tokens earlier in the text, prompt "
        "or source: the same text, sooner. Needs greedy search or sampling.",
    )
    draft_tokens: int | None = _option(
        None,
        "--draft-tokens N",
        "Tokens that --draft or --lookup guesses at a time. Default: 8.",
        min=1,
    )

    def speculation(self) -> "Speculation | None":
        """Return the settings of speculative decoding; None without --draft and --lookup.

        Raises ConfigError for options that contradict each other or would have no effect.
        """
        from transformer.decoding.search.speculative import DRAFT_TOKENS
        from transformer.errors import ConfigError
        from transformer.pipelines.speculation import Speculation

        if self.draft is None and not self.lookup:
            if self.draft_tokens is not None:
                raise ConfigError("--draft-tokens needs --draft or --lookup")
            return None
        if self.draft is not None and self.lookup:
            raise ConfigError("only one of --draft and --lookup can be given")
        return Speculation(draft=self.draft, draft_tokens=self.draft_tokens or DRAFT_TOKENS)
