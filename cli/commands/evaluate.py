"""`transduce evaluate`: scores of a model on a text."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from transformer.pipelines.arguments.languages import LanguageArguments

from ..io.filter import reading_counts, report
from ..io.outputs import output
from ..options import common as opt
from ..options.groups import grouped, option

if TYPE_CHECKING:
    from transformer.loading import LoadedModel
    from transformer.pipelines.arguments import TranslateArguments

Row = tuple[str, str, str]
BATCH_TOKENS, TOKENIZE = 4096, "auto"  # by default


@grouped
def evaluate(
    *,
    model: opt.Model,
    source: Annotated[
        str | None,
        option(
            "--source FILE", "File of lines to translate and score; needs --reference. - is stdin."
        ),
    ] = None,
    reference: Annotated[
        str | None,
        option("--reference FILE", "File of reference translations, a line for each of --source."),
    ] = None,
    text: Annotated[
        str | None,
        option(
            "--text FILE", "File of running text for a decoder-only model to predict. - is stdin."
        ),
    ] = None,
    tokenize: Annotated[
        str,
        option(
            "--tokenize NAME",
            "With --source, sacreBLEU's tokenization for BLEU. auto: by the script of "
            "--reference, shown in the signature; or 13a, intl, char, zh, ja-mecab, ko-mecab, spm, "
            "flores101, flores200, spBLEU-1K, none (text is tokenized).",
        ),
    ] = TOKENIZE,
    beam: Annotated[
        int | None,
        option(
            "--beam N",
            "With --source, number of beams (up to 1000); 1: greedy search. Default: the "
            "model's own, or 5.",
            min=1,
        ),
    ] = None,
    languages: LanguageArguments,
    length_penalty: Annotated[
        float | None,
        option(
            "--length-penalty A",
            "With --source, exponent in score = log p / length^A, from -10 to 10: the larger, the "
            "longer the translations that win. Default: the model's own, or 1.",
        ),
    ] = None,
    batch_tokens: Annotated[
        int,
        option(
            "--batch-tokens N",
            "With --source, most source tokens of a batch, counted for each beam, with "
            "padding; each CPU core has a batch.",
            min=1,
        ),
    ] = BATCH_TOKENS,
    column: Annotated[
        str | None,
        option(
            "--column NAME",
            "With --text, the column of a table: a field of JSON (default: text), or a number, "
            "from 1, or a name in the first line, in TSV and CSV (default: the first).",
        ),
    ] = None,
    device: opt.Device = "auto",
    dtype: opt.Dtype = "float32",
    quiet: opt.Quiet = False,
) -> None:
    """Measure a model: BLEU and chrF of translations, or perplexity on running text.

    Give --source and --reference, or --text. BLEU and chrF come with their
    signatures and need the extra "eval" (sacreBLEU); --text also gives the loss
    in nats a token and bits per byte.
    """
    from transformer.errors import ConfigError
    from transformer.evaluation import check_tokenization
    from transformer.pipelines.arguments import TranslateArguments

    from ..io.loading import load_with_notice

    if (source is None) != (reference is None) or (source is None) == (text is None):
        raise ConfigError("give --source and --reference, or --text")
    if source is not None:
        check_tokenization(tokenize)
        _refuse_others("--source", "--text", {"--column": (column, None)})
    else:
        of_translations = {
            "--beam": (beam, None),
            "--length-penalty": (length_penalty, None),
            "--from": (languages.source_language, None),
            "--to": (languages.target_language, None),
            "--batch-tokens": (batch_tokens, BATCH_TOKENS),
            "--tokenize": (tokenize, TOKENIZE),
        }
        _refuse_others("--text", "--source", of_translations)
    arguments = TranslateArguments(
        beam=beam,
        length_penalty=length_penalty,
        batch_tokens=batch_tokens,
        no_guard=True,  # the model is measured, not its repairs
        **vars(languages),
    )
    loaded = load_with_notice(model, device=device, dtype=dtype, quiet=quiet)
    if source is not None and reference is not None:
        rows = _translation(
            loaded, source, reference, arguments=arguments, tokenize=tokenize, quiet=quiet
        )
    else:
        rows = _running_text(loaded, str(text), column, quiet=quiet)
    with output(None) as writer:
        for name, value, note in rows:
            writer.line(f"{name}\t{value}\t{note}")


def _refuse_others(door: str, other: str, options: Mapping[str, tuple[object, object]]) -> None:
    """Raise ConfigError for an option that goes with another door than the chosen one.

    Options are their values and their defaults, by name.
    """
    from transformer.errors import ConfigError

    refused = [name for name, (value, default) in options.items() if value != default]
    if refused:
        raise ConfigError(f"{', '.join(refused)}: with {other}, not with {door}")


def _translation(
    loaded: "LoadedModel",
    source: str,
    reference: str,
    *,
    arguments: "TranslateArguments",
    tokenize: str,
    quiet: bool,
) -> list[Row]:
    from collections import Counter

    from tokenizer import CorpusCounts, CorpusError, TextFile, read_pairs
    from transformer.evaluation import translation_scores
    from transformer.pipelines.records import IterableSource
    from transformer.pipelines.session import Session

    read, counts = CorpusCounts(), Counter[str]()
    pairs = list(
        read_pairs([TextFile(source, plain=True)], [TextFile(reference, plain=True)], read)
    )
    if not pairs:
        raise CorpusError(f"{source} is empty: there is nothing to evaluate on")
    sources = IterableSource(source for source, _ in pairs)
    answers = Session([loaded]).translate(sources, arguments, counts)
    texts = [answer.outputs[0].text if answer.outputs else "" for answer in answers]
    scores = translation_scores(texts, [t for _, t in pairs], tokenize=tokenize)
    report(reading_counts(read) + counts, quiet=quiet, read=read)
    return [(s.name, f"{s.value:.2f}", f"{s.details} | {s.signature}") for s in scores.values()]


def _running_text(
    loaded: "LoadedModel", path: str, column: str | None, *, quiet: bool
) -> list[Row]:
    from tokenizer import CorpusCounts, TextFile, read_documents
    from transformer.evaluation import text_likelihood

    counts = CorpusCounts()
    chunks = read_documents(TextFile(path, column), counts)
    likelihood, size = text_likelihood(loaded, chunks)
    report(reading_counts(counts), quiet=quiet, read=counts)
    tokens = f"{likelihood.tokens:,} tokens"
    return [
        ("loss", f"{likelihood.loss:.4f}", f"nats a token, {tokens}"),
        ("perplexity", f"{likelihood.perplexity:.3f}", tokens),
        ("bits-per-byte", f"{likelihood.bits_per_byte(size):.4f}", f"{size:,} bytes"),
    ]
