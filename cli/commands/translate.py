"""`transduce translate`: lines in, translations out."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..io.filter import filter_lines
from ..options import common as opt
from ..options.decoding import DecodingOptions
from ..options.groups import grouped
from ..options.speculation import SpeculationOptions

if TYPE_CHECKING:
    from transformer.decoding.constraints.grammar import Grammar
    from transformer.loading import LoadedModel
    from transformer.pipelines import TranslationOptions
    from transformer.pipelines.glossary import Glossary


@dataclass(kw_only=True)
class TranslateOptions:
    """What can be asked of a translation, beside what can be asked of any text."""

    source_language: opt.SourceLanguage = None
    target_language: opt.TargetLanguage = None
    min_ratio: Annotated[
        float, typer.Option(min=0.0, help="The fewest tokens, as a factor of the source's.")
    ] = 0.0
    max_ratio: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="The most tokens, as a factor of the source's, plus 10. Default: the model's "
            "most, or 2.",
        ),
    ] = None
    coverage_penalty: Annotated[
        float, typer.Option(min=0.0, help="β of GNMT's, by which finished beams are ranked.")
    ] = 0.0
    split: Annotated[
        bool, typer.Option("--split", help="Translate sentence by sentence; keep what is between.")
    ] = False
    prefix: Annotated[str, typer.Option(help="How every translation begins.")] = ""
    glossary: Annotated[
        Path | None,
        typer.Option(help="TSV: where a line has the first, its translation has the second."),
    ] = None
    no_guard: Annotated[
        bool, typer.Option("--no-guard", help="Leave texts that run into a loop as they are.")
    ] = False

    def check(self, search: str) -> None:
        """Raise ConfigError for what the search would not obey."""
        from transformer.errors import ConfigError

        for option, given in {
            "--coverage-penalty": self.coverage_penalty,
            "--glossary": self.glossary,
        }.items():
            if given and search != "beam":
                raise ConfigError(
                    f"{option} needs beam search, but the options given mean {search}"
                )

    def read(self, decoding: DecodingOptions) -> "tuple[Grammar | None, Glossary | None]":
        """What texts must match and the words that they take. Raises ConfigError, OSError."""
        from transformer.errors import ConfigError
        from transformer.pipelines.glossary import Glossary

        from ..options.grammar import chosen_grammar

        rule = chosen_grammar(decoding)
        if rule is not None and self.split:
            raise ConfigError("a grammar describes a whole text; it cannot go with --split")
        return rule, None if self.glossary is None else Glossary.read(self.glossary)

    def ask(
        self,
        loaded: "LoadedModel",
        decoding: DecodingOptions,
        *,
        search: str,
        usual: int,
        budget: int,
        rule: "Grammar | None",
        glossary: "Glossary | None",
    ) -> "TranslationOptions":
        """All that is asked of translations. Raises ConfigError."""
        from transformer.pipelines import TranslationOptions
        from transformer.pipelines.search_settings import grammar_constraint

        return TranslationOptions(
            search=search,
            options=decoding.options(
                loaded, search=search, usual=usual, keep_all=bool(self.coverage_penalty)
            ),
            batch_tokens=budget,
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
            constraint=None if rule is None else grammar_constraint(rule, loaded),
            source_language=self.source_language,
            target_language=self.target_language,
        )


@grouped
def translate(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]...", help="Default: stdin.")
    ] = None,
    *,
    model: opt.Models,
    translating: TranslateOptions,
    decoding: DecodingOptions,
    drafting: SpeculationOptions,
    scores: opt.Scores = False,
    alignments: Annotated[
        bool, typer.Option("--alignments", help="Put a tab and pairs of words, i-j, behind it.")
    ] = False,
    filtering: opt.LineIOOptions,
) -> None:
    """Translate each line. n lines in, n lines out (n-best: n times as many), in order.

    In float32 on a CPU a line's translation does not depend on the lines beside it; in bfloat16 and
    on GPUs two texts that are almost equally likely may take each other's place.
    """
    from transformer.errors import ConfigError
    from transformer.pipelines import translate as translate_lines
    from transformer.pipelines.engines import build_engines
    from transformer.pipelines.search_settings import default_beam_size

    from ..io.loading import load_for_lines
    from ..io.speculation import report_speculation
    from ..render.answers import AnswerFormatter

    if alignments and translating.split:
        raise ConfigError("alignments are of whole lines; --alignments cannot go with --split")
    n_best = decoding.n_best
    decoding = decoding.with_samples()
    translating.check(decoding.choose(usual=2))  # mistakes first, then what takes time
    rule, glossary = translating.read(decoding)
    models = [load_for_lines(path, filtering) for path in model]
    usual = default_beam_size(models[0])
    search = decoding.choose(usual=usual)
    translating.check(search)
    asked = translating.ask(
        models[0],
        decoding,
        search=search,
        usual=usual,
        budget=filtering.batch_tokens,
        rule=rule,
        glossary=glossary,
    )
    lead, engines = build_engines(models, search, asked.options, drafting.speculation())
    show = AnswerFormatter(
        lead, n_best=n_best, as_json=filtering.as_json, scores=scores, alignments=alignments
    )
    filter_lines(
        files,
        filtering,
        lambda source, counts: translate_lines(lead, source, asked, engines=engines, counts=counts),
        show,
    )
    report_speculation(engines, quiet=filtering.quiet)
