"""`transduce tokenizer train`: from text to a tokenizer.json."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ..console import print_notice
from ..io.filter import reading_counts, report
from ..io.line_progress import LineProgress, input_share, line_progress_enabled
from ..io.output_checks import check_files
from ..io.outputs import is_file_name, output
from ..io.typed_text import is_typed
from ..options.common import Quiet
from ..options.groups import option
from ..options.names import NORMALIZATION_NAMES, TOKENIZER_NAMES


def train(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...",
            help="Files of text, TSV, CSV, JSONL or a JSON array, packed or not; - is stdin. "
            "Default: stdin.",
        ),
    ] = None,
    *,
    out: Annotated[
        Path,
        option(
            "-o --output FILE",
            "File to write the tokenizer to.",
            panel="Output",
        ),
    ] = Path("tokenizer.json"),
    kind: Annotated[
        str,
        option(
            "--kind NAME",
            "Kind of tokenizer: bpe, byte-bpe (no text is unknown), unigram, wordpiece or char.",
            panel="Model",
            choices=TOKENIZER_NAMES,
        ),
    ] = "bpe",
    vocab_size: Annotated[
        int,
        option(
            "--vocab-size N",
            "Most tokens of the vocabulary, special ones included; byte-bpe needs 260.",
            min=5,
            panel="Model",
        ),
    ] = 8000,
    lowercase: Annotated[
        bool,
        option(
            "--lowercase",
            "Turn all text to lower case before encoding it.",
            panel="Model",
        ),
    ] = False,
    normalization: Annotated[
        str,
        option(
            "--normalization NAME",
            "Unicode normalization: none, nfc, nfkc or strip-accents.",
            panel="Model",
            choices=NORMALIZATION_NAMES,
        ),
    ] = "nfc",
    min_frequency: Annotated[
        int,
        option(
            "--min-frequency N",
            "Merge only pairs of tokens seen at least N times (bpe, byte-bpe, wordpiece).",
            min=1,
            panel="Model",
        ),
    ] = 2,
    byte_fallback: Annotated[
        bool | None,
        option(
            "--byte-fallback/--no-byte-fallback",
            "Spell characters that the vocabulary lacks in 256 tokens for bytes, so that no text "
            "is unknown (bpe). Default: on for vocabularies of at least 2,000 tokens.",
            panel="Model",
        ),
    ] = None,
    special: Annotated[
        list[str] | None,
        option(
            "--special TEXT",
            "Add a token that is kept whole wherever a text has it. May be repeated.",
            panel="Model",
        ),
    ] = None,
    language: Annotated[
        list[str] | None,
        option(
            "--language NAME",
            "Add the token <2NAME>, which asks a multilingual model for a language: de adds "
            "<2de>. May be repeated.",
            panel="Model",
        ),
    ] = None,
    column: Annotated[
        str | None,
        option(
            "--column NAME",
            "Columns of the text, such as 1,2 or en,de: fields of JSON (default: text); names in "
            "the first line, or numbers from 1, in TSV and CSV (default: all columns).",
            panel="Input",
        ),
    ] = None,
    max_bytes: Annotated[
        int,
        option(
            "--max-bytes N",
            "Most bytes of text to train on; what follows is not read.",
            min=1,
            panel="Input",
        ),
    ] = 2_000_000_000,
    quiet: Quiet = False,
) -> None:
    """Train a tokenizer on text and write it as a tokenizer.json."""
    from checkpoints import write_file
    from tokenizer import (
        CorpusCounts,
        TextFile,
        TrainingOptions,
        language_tag,
        read_all,
        train_tokenizer,
    )
    from tokenizer.quantities import format_count

    counts = CorpusCounts()
    tags = [language_tag(name) for name in language or []]
    options = TrainingOptions(
        kind=kind,
        vocab_size=vocab_size,
        normalization=normalization,
        lowercase=lowercase,
        min_frequency=min_frequency,
        byte_fallback=byte_fallback,
        special=(*(special or []), *tags),
        max_bytes=max_bytes,
    )
    names = files or ["-"]
    check_files(out, names, packed=False)
    if is_typed(names) and not quiet:
        print_notice("type text; Ctrl-D ends")
    texts = [TextFile(path, column, option="--column") for path in names]
    progress = LineProgress(
        enabled=line_progress_enabled(quiet, out, names),
        share=input_share(names, counts),
        sums_up=False,
    )
    with progress:
        lines = progress.counting(read_all(texts, counts, all_columns=True))
        trained = train_tokenizer(
            progress.before(lines, "training on "), options, notice=counts.notice
        )
    if is_file_name(out):
        write_file(Path(os.path.realpath(out)), trained.to_json())  # whole, or not at all
    else:
        with output(out) as writer:
            writer.line(trained.to_json())
    report(reading_counts(counts), quiet=quiet, read=counts)
    if not quiet:
        size = format_count(trained.vocab_size, "token")
        read = format_count(counts.lines, "line")
        print_notice(f"{out}: {kind}, {size} from {read}{progress.time_taken()}")
