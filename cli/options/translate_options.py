"""The options of `transduce translate`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .common import Scores, SourceLanguage, TargetLanguage
from .decoding import DecodingOptions
from .groups import option_field
from .search_methods import beam_option, sampling_option
from .text_constraints import text_option

if TYPE_CHECKING:
    from transformer.decoding.constraints.grammar import Grammar
    from transformer.loading import LoadedModel
    from transformer.pipelines import TranslationOptions
    from transformer.pipelines.glossary import Glossary


@dataclass(kw_only=True)
class TranslateDecodingOptions(DecodingOptions):
    """Decoding options, with the defaults of translating."""

    beam: int | None = beam_option(
        None,
        "--beam N",
        "Beam search with N beams (up to 1000). 1: greedy search, or sampling if an option "
        "of sampling is given. Default: the model's own, or 5.",
        min=1,
    )
    temperature: float | None = sampling_option(
        None,
        "-t --temperature X",
        "Sample with logits divided by X (0.001 to 1000; 1 with other sampling options alone). "
        "0: greedy search. Default: beam search.",
        min=0.0,
    )
    max_tokens: int | None = text_option(
        None,
        "-n --max-tokens N",
        "Tokens of a translation at most; with --split, of a sentence's. Default: see --max-ratio.",
        min=1,
    )


@dataclass(kw_only=True)
class TranslateOptions:
    """Options of translations alone, and of showing them."""

    source_language: SourceLanguage = None
    target_language: TargetLanguage = None
    min_ratio: float = option_field(
        0.0,
        "--min-ratio X",
        "At least X times the source's tokens (up to 1000), or --min-tokens if that is more.",
        min=0.0,
    )
    max_ratio: float | None = option_field(
        None,
        "--max-ratio X",
        "At most X times the source's tokens (up to 1000) plus 10, unless --max-tokens "
        "is given. Default: the model's own limit, or 2.",
        min=0.0,
    )
    coverage_penalty: float = option_field(
        0.0,
        "--coverage-penalty X",
        "Weight (up to 1000) of GNMT's coverage penalty, which ranks translations lower "
        "that leave source words out; needs beam search.",
        min=0.0,
    )
    split: bool = option_field(
        False, "--split", "Translate each sentence by itself, keeping what is between sentences."
    )
    prefix: str = option_field(
        "",
        "--prefix TEXT",
        "Text that each line's translation begins with, unless a JSON line has a field prefix.",
    )
    glossary: Path | None = option_field(
        None,
        "--glossary FILE",
        "TSV file of phrases and their translations: where the source has a phrase, its "
        "translation must be written; needs beam search.",
    )
    no_guard: bool = option_field(
        False,
        "--no-guard",
        "Keep translations that end in a loop, which otherwise are written again without "
        "repeating any 3 tokens.",
    )
    scores: Scores = False
    alignments: bool = option_field(
        False,
        "--alignments",
        "Write a tab and word alignments after each translation: i-j for source word i "
        "and word j, from 0. Not with --split.",
    )
    as_json: bool = option_field(
        False,
        "--json",
        "Write a JSON object for each line: source, text, score, tokens, token_scores, "
        "finish_reason and, with --n-best, n_best.",
    )
    batch_tokens: int = option_field(
        4096,
        "--batch-tokens N",
        "Most source tokens of a batch, counted for each beam or sample, with padding; "
        "each CPU core has a batch.",
        min=1,
    )

    def check(self, search: str) -> None:
        """Raise ConfigError for options that the search would not obey."""
        from transformer.errors import ConfigError

        for name, value in {
            "--coverage-penalty": self.coverage_penalty,
            "--glossary": self.glossary,
        }.items():
            if value and search != "beam":
                raise ConfigError(
                    f"{name} needs beam search, but the search that the options ask for is "
                    f"{search!r}"
                )

    def constraints(self, decoding: DecodingOptions) -> "tuple[Grammar | None, Glossary | None]":
        """Return the grammar and the glossary of all translations. Raises ConfigError, OSError."""
        from transformer.errors import ConfigError
        from transformer.pipelines.glossary import Glossary

        from .grammar import chosen_grammar

        grammar = chosen_grammar(decoding)
        if grammar is not None and self.split:
            raise ConfigError("a grammar describes a whole text; it cannot go with --split")
        return grammar, None if self.glossary is None else Glossary.read(self.glossary)

    def translation_options(
        self,
        loaded: "LoadedModel",
        decoding: DecodingOptions,
        *,
        search: str,
        default_beams: int,
        grammar: "Grammar | None",
        glossary: "Glossary | None",
    ) -> "TranslationOptions":
        """Return the options of translating lines. Raises ConfigError."""
        from transformer.pipelines import TranslationOptions
        from transformer.pipelines.search_settings import grammar_constraint

        return TranslationOptions(
            search=search,
            options=decoding.search_options(
                loaded,
                search=search,
                default_beams=default_beams,
                keep_all=bool(self.coverage_penalty),
            ),
            batch_tokens=self.batch_tokens,
            max_tokens=decoding.max_tokens,
            ratio=self.max_ratio,
            min_tokens=decoding.min_tokens,
            min_ratio=self.min_ratio,
            loop_guard=not self.no_guard,
            split=self.split,
            prefix=self.prefix,
            stop=decoding.stop or (),
            coverage_penalty=self.coverage_penalty,
            mbr=decoding.mbr is not None,
            required_phrases=decoding.must or (),
            glossary=glossary,
            constraint=None if grammar is None else grammar_constraint(grammar, loaded),
            source_language=self.source_language,
            target_language=self.target_language,
        )
