"""`transduce evaluate`: scores of a model on a text."""

import json
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from transformer.pipelines.arguments.languages import LanguageArguments

from ..io.filter import reading_counts, report
from ..io.output_checks import check_files
from ..io.outputs import output
from ..options import common as opt
from ..options.evaluation import RunningTextOptions, TranslationScoreOptions, check_door
from ..options.groups import grouped, option

if TYPE_CHECKING:
    from tokenizer import CorpusCounts
    from transformer.loading import LoadedModel
    from transformer.pipelines.arguments import TranslateArguments


class _Evaluation(NamedTuple):
    """The scores of a text, and what happened to it."""

    rows: list[tuple[str, str, str]]  # names, values and remarks
    record: dict[str, Any]
    counts: Counter[str]
    read: "CorpusCounts"


@grouped
def evaluate(
    *,
    model: opt.Model,
    translations: TranslationScoreOptions,
    languages: LanguageArguments,
    running_text: RunningTextOptions,
    as_json: Annotated[
        bool,
        option(
            "--json",
            "Write one JSON object: bleu and chrf with their signatures, or loss, perplexity and "
            "bits_per_byte; the numbers behind them; notices, where something happened to lines.",
        ),
    ] = False,
    device: opt.Device = "auto",
    dtype: opt.Dtype = "float32",
    quiet: opt.Quiet = False,
) -> None:
    """Measure a model: BLEU and chrF of translations, or perplexity on running text.

    Give --source and --reference, or --text. BLEU and chrF come with their
    signatures and need the extra "eval" (sacreBLEU); they are of all lines, as
    sacreBLEU counts, blank ones too, whose number is told. --text also gives
    the loss in nats a token and bits per byte.
    """
    from transformer.evaluation import check_tokenization
    from transformer.pipelines.arguments import TranslateArguments

    from ..io.loading import load_with_notice

    check_door(translations, running_text, languages)
    files = (translations.source, translations.reference, running_text.text)
    check_files(None, [name for name in files if name is not None])
    if running_text.text is None:
        check_tokenization(translations.tokenize)
    arguments = TranslateArguments(
        beam=translations.beam,
        length_penalty=translations.length_penalty,
        batch_tokens=translations.batch_tokens,
        no_guard=True,  # the model is measured, not its repairs
        **vars(languages),
    )
    loaded = load_with_notice(model, device=device, dtype=dtype, quiet=quiet)
    if running_text.text is None:
        result = _translation(loaded, translations, arguments)
    else:
        result = _running_text(loaded, running_text.text, running_text.column)
    report(result.counts, quiet=quiet, read=result.read)
    with output(None) as writer:
        if as_json:
            writer.line(json.dumps({**result.record, **_notices(result)}, ensure_ascii=False))
            return
        for row in result.rows:
            writer.line("\t".join(row))


def _notices(result: _Evaluation) -> dict[str, Any]:
    """Return the JSON field with the number of lines for each notice, and with those of files."""
    noted: dict[str, Any] = {name: count for name, count in result.counts.items() if count}
    if result.read.notices:
        noted["files"] = result.read.notices
    return {"notices": noted} if noted else {}


def _translation(
    loaded: "LoadedModel", options: TranslationScoreOptions, arguments: "TranslateArguments"
) -> _Evaluation:
    from tokenizer import CorpusCounts, CorpusError, TextFile, is_blank, read_pairs
    from transformer.evaluation import translation_scores
    from transformer.pipelines.records import IterableSource
    from transformer.pipelines.session import Session

    read, counts = CorpusCounts(), Counter[str]()
    names = (options.source, options.reference)
    sources, references = (TextFile(str(name)) for name in names)
    pairs = list(read_pairs([sources], [references], read))
    if not pairs:
        raise CorpusError(f"{options.source} is empty: there is nothing to evaluate on")
    _refuse_names(names, pairs[0], read)
    lines = IterableSource(source for source, _ in pairs)
    answers = Session([loaded]).translate(lines, arguments, counts)
    texts = [answer.outputs[0].text if answer.outputs else "" for answer in answers]
    scores = translation_scores(texts, [t for _, t in pairs], tokenize=options.tokenize)
    counts["blank"] = 0  # told with all blank sources
    counts["blank_source"] = sum(is_blank(source) for source, _ in pairs)
    counts["blank_reference"] = sum(is_blank(reference) for _, reference in pairs)
    return _Evaluation(
        [(s.name, f"{s.value:.2f}", f"{s.details} | {s.signature}") for s in scores.values()],
        {s.name: {"score": s.value, "signature": s.signature} for s in scores.values()}
        | {"lines": len(pairs)},
        reading_counts(read) + counts,
        read,
    )


def _refuse_names(
    files: tuple[str | None, ...], first: tuple[str, str], read: "CorpusCounts"
) -> None:
    """Raise CorpusError for a first pair of names of columns in tables; tell of it in others."""
    from tokenizer import CorpusError
    from tokenizer.text import begins_with_names, format_of_name

    named = [str(name) for name in files]
    if (suspicion := begins_with_names(" and ".join(named), first)) is None:
        return
    if any(map(format_of_name, named)):
        raise CorpusError(
            f"{suspicion}: leave that row out of both (tail -n +2), or name the files .txt if it "
            "is a pair"
        )
    read.notice(f"{suspicion}, which are scored as a pair")


def _running_text(loaded: "LoadedModel", path: str, column: str | None) -> _Evaluation:
    from tokenizer import CorpusCounts, TextFile, read_documents
    from transformer.evaluation import text_likelihood

    read = CorpusCounts()
    found = text_likelihood(loaded, read_documents(TextFile(path, column, option="--column"), read))
    likelihood, size = found.likelihood, found.num_bytes
    figures = {
        "loss": likelihood.loss,
        "perplexity": likelihood.perplexity,
        "bits_per_byte": likelihood.bits_per_byte(size),
    }
    tokens = f"{likelihood.tokens:,} tokens"
    rows = [
        ("loss", f"{figures['loss']:.4f}", f"nats a token, {tokens}"),
        ("perplexity", f"{figures['perplexity']:.3f}", tokens),
        ("bits-per-byte", f"{figures['bits_per_byte']:.4f}", f"{size:,} bytes"),
    ]
    counts = reading_counts(read) + Counter(unknown_read=found.unknown_lines)
    record = {**figures, "tokens": likelihood.tokens, "bytes": size}
    return _Evaluation(rows, record, counts, read)
