"""`transduce translate`: lines in, translations out."""

from pathlib import Path
from typing import Annotated

import typer

from .. import options as opt
from ..decoding_options import Decoding, Drafting
from ..grouping import grouped
from ..streams import filter_lines


@grouped
def translate(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]...", help="Default: stdin.")
    ] = None,
    *,
    model: opt.Models,
    source_language: opt.SourceLanguage = None,
    target_language: opt.TargetLanguage = None,
    decoding: Decoding,
    drafting: Drafting,
    min_ratio: Annotated[
        float, typer.Option(min=0.0, help="The fewest tokens, as a factor of the source's.")
    ] = 0.0,
    max_ratio: Annotated[
        float, typer.Option(min=0.0, help="The most tokens, as a factor of the source's, plus 10.")
    ] = 2.0,
    coverage_penalty: Annotated[
        float, typer.Option(min=0.0, help="β of GNMT's, by which finished beams are ranked.")
    ] = 0.0,
    mbr: Annotated[
        int | None,
        typer.Option(min=2, help="Of so many samples the one most like the others, by chrF."),
    ] = None,
    split: Annotated[
        bool, typer.Option("--split", help="Translate sentence by sentence; keep what is between.")
    ] = False,
    prefix: Annotated[str, typer.Option(help="How every translation begins.")] = "",
    glossary: Annotated[
        Path | None,
        typer.Option(help="TSV: where a line has the first, its translation has the second."),
    ] = None,
    no_guard: Annotated[
        bool, typer.Option("--no-guard", help="Leave texts that run into a loop as they are.")
    ] = False,
    scores: opt.Scores = False,
    alignments: Annotated[
        bool, typer.Option("--alignments", help="Put a tab and pairs of words, i-j, behind it.")
    ] = False,
    filtering: opt.Filtering,
) -> None:
    """Translate each line. n lines in, n lines out (n-best: n times as many), in order.

    In float32 on a CPU a line's translation does not depend on the lines beside it; in bfloat16 and
    on GPUs two texts that are almost equally likely may take each other's place.
    """
    from transformer.decoding import TranslationOptions, translate
    from transformer.decoding.glossary import Glossary

    from ..running import grammar, load_for, make_engines, tell_guesses, usual_beams
    from ..showing import Show

    decoding = decoding.with_samples(mbr)
    decoding.choose(usual=2)  # mistakes first, then what takes time
    rule, read_words = grammar(decoding), None if glossary is None else Glossary.read(glossary)
    models = [load_for(path, filtering) for path in model]
    loaded = models[0]
    usual = usual_beams(loaded)
    search = decoding.choose(usual=usual)
    kept = decoding.n_best if not mbr else 1
    options = decoding.options(loaded, search=search, usual=usual, keep_all=bool(coverage_penalty))
    asked = TranslationOptions(
        search=search,
        options=options,
        batch_tokens=filtering.batch_tokens,
        max_tokens=decoding.max_tokens,
        ratio=max_ratio,
        min_tokens=decoding.min_tokens,
        min_ratio=min_ratio,
        guard=not no_guard,
        split=split,
        prefix=prefix,
        coverage=coverage_penalty,
        consensus=bool(mbr),
        glossary=read_words,
        constraint=None if rule is None else rule(loaded),
        source_language=source_language,
        target_language=target_language,
    )

    loaded, engines = make_engines(models, search, options, drafting)
    filter_lines(
        files,
        filtering,
        lambda source, counts: translate(loaded, source, asked, engines=engines, counts=counts),
        Show(
            loaded,
            n_best=kept,
            as_json=filtering.as_json,
            scores=scores,
            alignments=alignments,
        ),
    )
    tell_guesses(engines, quiet=filtering.quiet)
