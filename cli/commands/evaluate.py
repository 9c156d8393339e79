"""`transduce evaluate`: scores of a model on a text."""

import json
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from transformer.pipelines.arguments.languages import LanguageArguments

from ..console import print_notice
from ..io.filter import reading_counts, report
from ..io.outputs import output
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
    from collections.abc import Callable, Sequence

    from tokenizer import CorpusCounts
    from transformer.data import Ids
    from transformer.loading import LoadedModel
    from transformer.pipelines.arguments import TranslateArguments

    from ..io.evaluation_text import Pair
    from ..io.line_progress import LineProgress
    from ..render.evaluation import Evaluation

    Load = Callable[[Path], LoadedModel]


@grouped
def evaluate(
    *,
    model: opt.Models,
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
    from ..io.loading import load_with_notice

    door = check_door(translations, running_text, languages)
    check_evaluation_files(translations, running_text.text)

    def load(folder: Path) -> "LoadedModel":
        return load_with_notice(folder, device=device, dtype=dtype, quiet=quiet)

    arguments = TranslateArguments(
        beam=translations.beam,
        length_penalty=translations.length_penalty,
        batch_tokens=translations.batch_tokens,
        no_guard=True,  # the model is measured, not its repairs
        **vars(languages),
    )
    translator = _Translations(model, translations, arguments, load, quiet)
    if door == "--text":
        loaded = load(one_model(model, "--text"))
        result = _running_text(loaded, str(running_text.text), running_text.column, quiet=quiet)
    elif door is None:
        result = _validation(translator, languages, quiet=quiet)
    else:
        result = translator.of_files()
    failed = result.counts["failed"] == result.record.get("lines")  # all: there is nothing to score
    report(result.counts, quiet=quiet, strict=failed, read=result.read)
    with output(None) as writer:
        if as_json:
            writer.line(json.dumps(result.json_record(), ensure_ascii=False))
            return
        for row in result.rows:
            writer.line("\t".join(row))


def _validation(
    translator: "_Translations", languages: LanguageArguments, *, quiet: bool
) -> "Evaluation":
    """Evaluate a run's model on the run's own validation text."""
    from tokenizer import CorpusCounts
    from transformer.training.recipe_resolution import read_run_recipe
    from transformer.training.validation_text import run_with_validation, validation_text

    run = run_with_validation(translator.models[0])
    text = validation_text(run)
    is_pairs = isinstance(text, list)
    if not is_pairs:
        reason = f"and {run} validates on running text"
        refuse_translation_options(reason, translator.options, languages)
        model = one_model(translator.models, f"the running text of {run}")
    if not quiet:
        size = f"{len(text):,} {'pairs' if is_pairs else 'tokens'}"
        print_notice(f"the validation text of {run}: {size}")
    if isinstance(text, list):
        if (options := translator.options).tokenize is None:
            options = replace(options, tokenize=read_run_recipe(run).validation.tokenize)
        result = translator._replace(options=options).of_pairs(text, CorpusCounts())
    else:
        result = _stored_text(translator.load(model), text, run, quiet=quiet)
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


class _Translations(NamedTuple):
    """An evaluation of translations, of one model or of two."""

    models: "Sequence[Path]"  # whose probabilities are averaged
    options: TranslationScoreOptions
    arguments: "TranslateArguments"
    load: "Load"
    quiet: bool

    def of_files(self) -> "Evaluation":
        """Evaluate on the pairs of files."""
        from tokenizer import CorpusCounts
        from transformer.evaluation import check_tokenization

        from ..io.evaluation_text import read_evaluation_pairs

        check_tokenization(self.options.tokenize or "auto")
        read = CorpusCounts()
        return self.of_pairs(read_evaluation_pairs(self.options, read), read)

    def of_pairs(self, pairs: "Sequence[Pair]", read: "CorpusCounts") -> "Evaluation":
        """Translate the sources of pairs, and score the result."""
        from tokenizer import is_blank
        from transformer.abilities import require_ability
        from transformer.evaluation import (
            check_comparable,
            check_tokenization,
            compare_translations,
            translation_scores,
        )

        from ..render.evaluation import Evaluation

        versus, tokenize = self.options.versus, self.options.tokenize or "auto"
        check_tokenization(tokenize)
        if versus is not None:
            check_comparable(len(pairs))
        sources, references = map(list, zip(*pairs, strict=True))
        counts = Counter[str]()
        loaded = [self.load(model) for model in self.models]
        other = None if versus is None else [self.load(versus)]
        for each in [*loaded, *(other or [])]:  # before the first of them begins
            require_ability(each.config, "translate", each.folder)
        texts = self._translate(loaded, sources, counts, out=self.options.save_outputs)
        counts["blank"] = 0  # told with all blank sources
        counts["blank_source"] = sum(map(is_blank, sources))
        counts["blank_reference"] = sum(map(is_blank, references))
        result = Evaluation(read, reading_counts(read) + counts)
        result.add_scores(translation_scores(texts, references, tokenize=tokenize), len(pairs))
        if other is not None:
            others = self._translate(other, sources, Counter(), out=None)
            result.add_comparison(
                str(versus),
                translation_scores(others, references, tokenize=tokenize),
                compare_translations(texts, others, references, tokenize=tokenize),
            )
        return result

    def _translate(
        self,
        loaded: "Sequence[LoadedModel]",
        sources: "Sequence[str]",
        counts: Counter[str],
        *,
        out: Path | None,
    ) -> list[str]:
        """Translate lines; write them to a file, if one is named, as they come."""
        from transformer.pipelines.records import IterableSource
        from transformer.pipelines.session import Session

        from ..io.line_progress import LineProgress, shows_work

        texts, source = [], IterableSource(sources)
        progress = LineProgress(enabled=shows_work(self.quiet), total=len(sources))
        with nullcontext() if out is None else output(out) as writer, progress:
            answers = Session(loaded).translate(source, self.arguments, counts)
            for answer in progress.counting(answers):
                texts.append(answer.outputs[0].text if answer.outputs else "")
                if writer is not None:
                    writer.line(" ".join(texts[-1].split("\n")))
        return texts


def _token_progress(quiet: bool) -> "LineProgress":
    from ..io.line_progress import LineProgress, shows_work

    return LineProgress(enabled=shows_work(quiet), unit="token")


def _running_text(
    loaded: "LoadedModel", path: str, column: str | None, *, quiet: bool
) -> "Evaluation":
    from tokenizer import CorpusCounts, TextFile, read_documents
    from transformer.evaluation import text_likelihood

    from ..render.evaluation import Evaluation

    read = CorpusCounts()
    documents = read_documents(TextFile(path, column, option="--column"), read)
    with _token_progress(quiet) as progress:
        found = text_likelihood(loaded, documents, progress.report)
    counts = reading_counts(read) + Counter(unknown_read=found.unknown_lines)
    result = Evaluation(read, counts)
    result.add_likelihood(found)
    return result
