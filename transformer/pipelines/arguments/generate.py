"""Arguments of generating."""

import secrets
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from .argument import argument, batch_argument
from .names import OVERFLOW_NAMES
from .search import MAX_SEED, SEED, SearchArguments, beam_argument, sampling_argument
from .text import text_argument

MAX_TOKENS = 256  # by default
TEMPERATURE = 0.8  # by default, where neither beams nor contrastive search are asked for


def fresh_seed() -> int:
    """Return a seed that nobody chose, of few enough digits to type."""
    return secrets.randbelow(1 << 32)


@dataclass(frozen=True, kw_only=True)
class GenerateArguments(SearchArguments):
    """Arguments of continuing prompts."""

    default_search: ClassVar[str] = "sample"

    @cached_property
    def drawn_seed(self) -> int | None:
        """The seed that texts are drawn by: the user's, or a fresh one, the same in all of a call.

        None for a search that draws nothing.
        """
        search = self.requested_search or self.default_search
        if search != "sample":
            return None
        return fresh_seed() if self.seed is None else self.seed

    @property
    def can_stream(self) -> bool:
        """True if the search has one text, whose tokens are decided one by one."""
        search = self.requested_search or self.default_search
        return search != "beam" and self.num_hypotheses == 1

    overflow: str = argument(
        "error",
        "--overflow NAME",
        "For a prompt longer than the context: refuse it (error), drop its beginning "
        "(left), or do so again whenever the context is full (slide, for one text at a time).",
        panel="Input",
        choices=OVERFLOW_NAMES,
    )
    batch_tokens: int = batch_argument(
        "With --lines, most tokens of a batch: those of prompts and of --max-tokens, for "
        "each beam or sample, with padding."
    )
    beam: int | None = beam_argument(
        None,
        "--beam N",
        "Beam search with N beams (up to 1000). 1: greedy search, or sampling if an option "
        "of sampling is given. Default: sampling.",
        min=1,
        max=1000,
    )
    seed: int | None = sampling_argument(
        None,
        "--seed N",
        f"{SEED} Default: a fresh one at each call, which --json writes.",
        min=0,
        max=MAX_SEED,
    )
    temperature: float | None = sampling_argument(
        None,
        "-t --temperature X",
        "Sample with logits divided by X (0.001 to 1000): below 1, likely tokens gain. 0: "
        f"greedy search. Default: {TEMPERATURE}.",
        min=0.0,
        max=1000.0,
    )
    max_tokens: int | None = text_argument(
        None,
        "-n --max-tokens N",
        "Tokens to write at most, as far as the context has room. Default: the model's own, or "
        f"{MAX_TOKENS}.",
        min=1,
    )
