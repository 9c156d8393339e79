"""`transduce evaluate`: scores of a model on a text."""

import json
from collections import Counter
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from transformer.pipelines.arguments.languages import LanguageArguments

from ..console import print_notice, progress_enabled
from ..io.filter import reading_counts, report
from ..io.outputs import output, terminal_width
from ..options import common as opt
from ..options.evaluation import (
    RunningTextOptions,
    TranslationScoreOptions,
    check_door,
    one_model,
    refuse_translation_options,
)
from ..options.groups import grouped, option

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformer.data import Ids
    from transformer.loading import LoadedModel

    from ..io.line_progress import LineProgress
    from ..io.pair_scores import PairScorer
    from ..render.evaluation import Evaluation

    Load = Callable[[Path], LoadedModel]


@grouped
def evaluate(
    *,
    model: opt.Models,
    adapter: opt.Adapter = None,
    translations: TranslationScoreOptions,
    languages: LanguageArguments,
    running_text: RunningTextOptions,
    as_json: Annotated[
        bool,
        option(
            "--json",
            "Write one JSON object: bleu and chrf with their signatures, or loss, perplexity and "
            "bits_per_byte; the numbers behind them; versus, with --versus; notices, where "
            "something happened to lines.",
            panel="Output",
        ),
    ] = False,
    device: opt.Device = "auto",
    dtype: opt.Dtype = "float32",
    quiet: opt.Quiet = False,
) -> None:
    """Measure a model: BLEU and chrF of translations, or perplexity on running text.

    Give --pairs, or --source and --reference, or --text. Without any of them, a
    run is measured on its own validation text. BLEU and chrF come with their
    signatures and need the extra "eval" (sacreBLEU); they are of all lines, as
    sacreBLEU counts, blank ones too, whose number is told. --text also gives
    the loss in nats a token and bits per byte.
    """
    from transformer.pipelines.arguments import TranslateArguments

    from ..io.evaluation_text import check_evaluation_files
    from ..io.loading import check_adapter, load_with_notice
    from ..io.pair_scores import PairScorer
    from ..render.evaluation import evaluation_of_pairs

    door = check_door(translations, running_text, languages)
    check_evaluation_files(translations, running_text.text)

    check_adapter(adapter, model)

    def load(folder: Path) -> "LoadedModel":
        on_it = adapter if folder is model[0] else None  # --versus may name the same folder
        return load_with_notice(folder, device=device, dtype=dtype, quiet=quiet, adapter=on_it)

    arguments = TranslateArguments(
        beam=translations.beam,
        length_penalty=translations.length_penalty,
        batch_tokens=translations.batch_tokens,
        no_guard=True,  # the model is measured, not its repairs
        **vars(languages),
    )
    scorer = PairScorer(model, translations, arguments, load, quiet)
    if door == "--text":
        one = one_model(model, "--text")
        result = _running_text(one, load, str(running_text.text), running_text.column, quiet=quiet)
    elif door is None:
        result = _validation(scorer, languages, quiet=quiet)
    else:
        result = evaluation_of_pairs(scorer.score_files(), scorer.models, translations.versus)
    failed = result.counts["failed"] == result.record.get("lines")  # all: there is nothing to score
    report(result.counts, quiet=quiet, strict=failed, read=result.read, with_options=False)
    record = json.dumps(result.json_record(), ensure_ascii=False)
    with output(None) as writer:
        for line in [record] if as_json else result.lines(terminal_width()):
            writer.line(line)


def _validation(scorer: "PairScorer", languages: LanguageArguments, *, quiet: bool) -> "Evaluation":
    """Evaluate a run's model on the run's own validation text."""
    from tokenizer import CorpusCounts
    from transformer.training.recipe_resolution import read_run_recipe
    from transformer.training.validation_text import (
        run_with_validation,
        validation_size,
        validation_text,
    )

    from ..render.evaluation import evaluation_of_pairs

    run = run_with_validation(scorer.models[0])
    text = validation_text(run)
    is_pairs = isinstance(text, list)
    if not is_pairs:
        reason = f"and {run} validates on running text"
        refuse_translation_options(reason, scorer.options, languages)
        model = one_model(scorer.models, f"the running text of {run}")
    if not quiet:
        print_notice(f"the validation text of {run}: {validation_size(text)}")
    if isinstance(text, list):
        if (options := scorer.options).tokenize is None:
            options = replace(options, tokenize=read_run_recipe(run).validation.tokenize)
        scored = scorer._replace(options=options).score_pairs(text, CorpusCounts())
        result = evaluation_of_pairs(scored, scorer.models, options.versus)
    else:
        result = _stored_text(scorer.load(model), text, run, quiet=quiet)
    result.record["validation_of"] = str(run)
    return result


def _stored_text(loaded: "LoadedModel", ids: "Ids", run: Path, *, quiet: bool) -> "Evaluation":
    """Evaluate a model on the ids of its run's validation text."""
    from tokenizer import CorpusCounts
    from transformer.evaluation import stored_likelihood
    from transformer.training.encoding import TEXT
    from transformer.training.validation_text import validation_report

    from ..render.data_report import unknown_characters
    from ..render.evaluation import Evaluation

    known = validation_report(run)
    text = None if known is None else known.unknown.get(TEXT)
    num_bytes = None if text is None else text.num_bytes
    result = Evaluation(CorpusCounts(), Counter())
    for notice in [] if known is None else unknown_characters(known):
        result.read.notice(notice)
    if num_bytes is None:
        result.read.notice(
            f"{run} is of an earlier version, which did not count the bytes of its validation "
            "text: bits per byte are left out; --text FILE measures them"
        )
    with _token_progress(quiet) as progress:
        result.add_likelihood(stored_likelihood(loaded, ids, num_bytes, progress.report))
    return result


def _token_progress(quiet: bool) -> "LineProgress":
    from ..io.line_progress import LineProgress

    return LineProgress(enabled=progress_enabled(quiet), unit="token")


def _running_text(
    model: Path, load: "Load", path: str, column: str | None, *, quiet: bool
) -> "Evaluation":
    """Evaluate a model on a file of running text, whose beginning is read before the model is."""
    from tokenizer import CorpusCounts, TextFile, read_documents
    from transformer.evaluation import text_likelihood

    from ..render.evaluation import Evaluation

    read = CorpusCounts()
    documents = iter(read_documents(TextFile(path, column, option="--column"), read))
    first = [*islice(documents, 1)]  # raises what is wrong with the column
    loaded = load(model)
    with _token_progress(quiet) as progress:
        found = text_likelihood(loaded, chain(first, documents), progress.report)
    counts = reading_counts(read) + Counter(unknown_read=found.unknown_lines)
    result = Evaluation(read, counts)
    result.add_likelihood(found)
    return result
