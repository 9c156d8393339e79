"""Arguments of translating."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import ConfigError
from .argument import argument, batch_argument, global_tokens_argument
from .languages import LanguageArguments
from .search import MAX_SEED, SEED, SearchArguments, beam_argument, sampling_argument
from .text import text_argument

if TYPE_CHECKING:
    from ..glossary import Glossary


@dataclass(frozen=True, kw_only=True)
class TranslateArguments(SearchArguments, LanguageArguments):
    """Arguments of translating lines."""

    min_ratio: float = argument(
        0.0,
        "--min-ratio X",
        "At least X times the source's tokens (up to 1000), or --min-tokens if that is more.",
        min=0.0,
        max=1000.0,
        panel="Length, repetition and content",
    )
    max_ratio: float | None = argument(
        None,
        "--max-ratio X",
        "At most X times the source's tokens (up to 1000) plus 10; not with --max-tokens. "
        "Default: the model's own limit, or 2.",
        min=0.0,
        max=1000.0,
        panel="Length, repetition and content",
    )
    coverage_penalty: float = argument(
        0.0,
        "--coverage-penalty X",
        "Weight (up to 1000) of GNMT's coverage penalty, which ranks translations lower "
        "that leave source words out; needs beam search.",
        min=0.0,
        max=1000.0,
        panel="Beam search",
    )
    global_tokens: int | None = global_tokens_argument()
    split: bool = argument(
        False,
        "--split",
        "Translate each sentence by itself, keeping what is between sentences.",
        panel="Length, repetition and content",
    )
    prefix: str = argument(
        "",
        "--prefix TEXT",
        "Text that each line's translation begins with, unless a JSON line has a field prefix.",
        panel="Length, repetition and content",
    )
    glossary: Path | None = argument(
        None,
        "--glossary FILE",
        "TSV file of phrases and their translations: where the source has a phrase, its "
        "translation takes the place of what would be written; needs beam search.",
        panel="Length, repetition and content",
    )
    no_guard: bool = argument(
        False,
        "--no-guard",
        "Keep translations that end in a loop, which otherwise are written again without "
        "repeating any 3 tokens, unless the source repeats itself too.",
        panel="Length, repetition and content",
    )
    batch_tokens: int = batch_argument(
        "Most source tokens of a batch, counted for each beam or sample, with padding; "
        "each CPU core has a batch."
    )
    beam: int | None = beam_argument(
        None,
        "--beam N",
        "Beam search with N beams (up to 1000). 1: greedy search, or sampling if an option "
        "of sampling is given. Default: the model's own, or 5.",
        min=1,
        max=1000,
    )
    seed: int | None = sampling_argument(0, "--seed N", f"{SEED} Default: 0.", min=0, max=MAX_SEED)
    temperature: float | None = sampling_argument(
        None,
        "-t --temperature X",
        "Sample with logits divided by X (0.001 to 1000; 1 with other sampling options alone). "
        "0: greedy search. Default: beam search.",
        min=0.0,
        max=1000.0,
    )
    max_tokens: int | None = text_argument(
        None,
        "-n --max-tokens N",
        "Tokens of a translation at most; with --split, of a sentence's. Default: see --max-ratio.",
        min=1,
    )

    def __post_init__(self) -> None:
        """Raise ConfigError for arguments that contradict each other or would have no effect."""
        super().__post_init__()
        if self.max_ratio is not None and self.min_ratio > self.max_ratio:
            raise ConfigError(
                f"--min-ratio {self.min_ratio} is more than --max-ratio {self.max_ratio}"
            )
        if self.max_ratio is not None and self.max_tokens is not None:
            raise ConfigError("only one of --max-ratio and --max-tokens can be given")
        if self.grammar is not None and self.split:
            raise ConfigError("a grammar describes a whole text; it cannot go with --split")
        self.phrases  # noqa: B018 (raises what is wrong with the glossary)

    @cached_property
    def phrases(self) -> "Glossary | None":
        """The glossary that the file holds. Raises ConfigError, OSError."""
        from ..glossary import Glossary

        return None if self.glossary is None else Glossary.read(Path(self.glossary))

    def check_search(self, search: str) -> None:
        """Raise ConfigError for arguments that this search would not obey."""
        super().check_search(search)
        beams_only = {"--coverage-penalty": self.coverage_penalty, "--glossary": self.glossary}
        for name, value in beams_only.items():
            if value and search != "beam":
                raise ConfigError(
                    f"{name} needs beam search, but the search that the options ask for is "
                    f"{search!r}"
                )
