"""The options of speculative decoding."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from .decoding_options import option

if TYPE_CHECKING:
    from transformer.loading import LoadedModel

_DRAFTING = "Speculation"


@dataclass(kw_only=True)
class Drafting:
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

    @property
    def asked(self) -> bool:
        """Whether anything is to be guessed. Raises ConfigError for an option that is idle."""
        from transformer.config import ConfigError

        asked = self.draft is not None or self.lookup
        if self.draft_tokens is not None and not asked:
            raise ConfigError("--draft-tokens needs --draft or --lookup")
        return asked

    def load(self, lead: "LoadedModel") -> "LoadedModel | None":
        """The model that guesses, if one is to: where the other is, in numbers of its type."""
        from transformer.config import ConfigError
        from transformer.loading import load_model

        if self.draft is None:
            return None
        if self.lookup:
            raise ConfigError("of --draft and --lookup only one can be given")
        dtype = lead.model.embedding.weight.dtype
        return load_model(self.draft, device=str(lead.device), dtype=dtype)
