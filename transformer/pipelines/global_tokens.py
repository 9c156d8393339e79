"""Global tokens of texts: which ones see all of a text and are seen by all, in models that ask."""

from typing import NamedTuple

from ..attention import names_global_tokens
from ..errors import ConfigError
from ..loading import LoadedModel

GlobalIndices = tuple[int, ...] | None  # in what a model reads; None: the first token


class GlobalTokenChoice(NamedTuple):
    """The rule by which tokens of a text are global: so many of the first ones."""

    number: int | None

    @classmethod
    def of(cls, loaded: LoadedModel, number: int | None) -> "GlobalTokenChoice":
        """Return the rule for a model. Raises ConfigError if it is asked of another kind."""
        if number is not None and not names_global_tokens(loaded.config):
            raise ConfigError(
                f"--global-tokens: {loaded.named_folder} has no such tokens; only longformer "
                "attention, as of Longformer and LED, is told of them"
            )
        return cls(number)

    def indices(self, length: int) -> GlobalIndices:
        """Return the global tokens of a text of so many tokens, special ones counted."""
        return None if self.number is None else tuple(range(min(self.number, length)))
