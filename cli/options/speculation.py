"""The options of speculative decoding."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from .decoding import option

if TYPE_CHECKING:
    from transformer.pipelines.speculation import Speculation

_DRAFTING = "Speculation"


@dataclass(kw_only=True)
class SpeculationOptions:
    """Guessing several tokens at once, which the model then checks: speculative decoding."""

    draft: Annotated[
        Path | None,
        option(
            "--draft",
            panel=_DRAFTING,
            help="A smaller model of the same vocabulary, which guesses. The text stays the same.",
        ),
    ] = None
    lookup: Annotated[
        bool,
        option(
            "--lookup",
            panel=_DRAFTING,
            help="Guess from what the prompt or the source says. The text stays the same.",
        ),
    ] = False
    draft_tokens: Annotated[
        int | None,
        option("--draft-tokens", min=1, panel=_DRAFTING, help="Tokens to guess at once; 8."),
    ] = None

    def speculation(self) -> "Speculation | None":
        """Return what is asked for, if anything is to be guessed.

        Raises ConfigError for options that contradict each other or would be idle.
        """
        from transformer.decoding.search.speculative import DRAFT_TOKENS
        from transformer.errors import ConfigError
        from transformer.pipelines.speculation import Speculation

        if self.draft is None and not self.lookup:
            if self.draft_tokens is not None:
                raise ConfigError("--draft-tokens needs --draft or --lookup")
            return None
        if self.draft is not None and self.lookup:
            raise ConfigError("of --draft and --lookup only one can be given")
        return Speculation(draft=self.draft, ahead=self.draft_tokens or DRAFT_TOKENS)
