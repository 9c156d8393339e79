"""`transduce tokenizer`: train, show and run tokenizers."""

import os
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import print_notice
from ..io.filter import reading_counts, report
from ..io.line_progress import LineProgress, input_share, line_progress_enabled
from ..io.output_checks import check_files
from ..io.outputs import is_file_name, output
from ..io.streams import input_lines
from ..io.text_arguments import named_inputs
from ..io.typed_text import HINT, is_typed, typed_texts
from ..options.common import LineColumn, Output, Quiet, WholeLines, refuse_plain
from ..options.groups import option
from ..options.names import NORMALIZATION_NAMES, TOKENIZER_NAMES

if TYPE_CHECKING:
    from tokenizer import CorpusCounts, Tokenizer

app = typer.Typer(help="Train, show and run tokenizers.")

TokenizerPath = Annotated[
    Path,
    option(
        "-t --tokenizer PATH",
        "A tokenizer.json, or a folder that holds one, such as a model's.",
        panel="Model",
    ),
]
_CHUNK = 1000  # lines that are encoded together


def _file_of(path: Path) -> Path:
    return path / "tokenizer.json" if path.is_dir() else path


def _load(path: Path) -> "Tokenizer":
    from tokenizer import Tokenizer

    return Tokenizer.load(_file_of(path))


def _check_files(out: Path | None, names: list[str], tokenizer: Path) -> list[str]:
    """Return the names of all that a command reads. Raises what `check_files` does."""
    path = _file_of(tokenizer)
    reading = [*names, *([str(path)] if path.is_file() else [])]
    check_files(out, reading)
    return reading


def _progress(
    names: list[str], counts: "CorpusCounts", *, quiet: bool, out: Path | None
) -> LineProgress:
    return LineProgress(
        enabled=line_progress_enabled(quiet, out, names), share=input_share(names, counts)
    )


def _lines(
    names: list[str], counts: "CorpusCounts", *, column: str | None, plain: bool, quiet: bool
) -> Iterator[str]:
    """Yield the lines of a file or of stdin, or those that are typed."""
    if is_typed(names) and column is None:
        yield from typed_texts(counts, None if quiet else HINT)
        return
    yield from input_lines(names, counts, column, plain=plain)


def _chunks(lines: Iterator[str], *, typed: bool) -> Iterator[list[str]]:
    while chunk := list(islice(lines, 1 if typed else _CHUNK)):
        yield chunk


@app.command()
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


InputFile = Annotated[
    str | None,
    typer.Argument(
        metavar="[FILE]", help="File to read, packed or not; - is stdin. Default: stdin."
    ),
]


@app.command()
def encode(
    file: InputFile = None,
    *,
    tokenizer: TokenizerPath,
    pieces: Annotated[
        bool,
        option(
            "--pieces",
            "Write the names of the tokens instead of their ids.",
            panel="Output",
        ),
    ] = False,
    column: LineColumn = None,
    plain: WholeLines = False,
    out: Output = None,
    quiet: Quiet = False,
) -> None:
    """Encode each line of text as a line of token ids, without special tokens around it."""
    from tokenizer import CorpusCounts

    refuse_plain(plain, {"--column": column})
    names = named_inputs(None if file is None else [file])
    reading = _check_files(out, names, tokenizer)
    backend, counts, noted = _load(tokenizer), CorpusCounts(), Counter[str]()
    progress = _progress(names, counts, quiet=quiet, out=out)
    with output(out, reading=reading) as writer, progress:
        lines = _lines(names, counts, column=column, plain=plain, quiet=quiet)
        for chunk in _chunks(progress.counting(lines), typed=is_typed(names)):
            rows = backend.encode_batch(chunk)
            unknown = backend.unknown_characters(chunk, rows)
            noted["unknown_read"] += sum(bool(each.strip("\ufffd")) for each in unknown)
            for line, ids in zip(chunk, rows, strict=True):
                writer.line(" ".join(backend.pieces(line) if pieces else map(str, ids)))
    report(reading_counts(counts) + noted, quiet=quiet, read=counts)


@app.command()
def decode(
    file: InputFile = None, *, tokenizer: TokenizerPath, out: Output = None, quiet: Quiet = False
) -> None:
    """Decode each line of token ids, as encode writes them, as a line of text."""
    from tokenizer import CorpusCounts

    names = named_inputs(None if file is None else [file])
    reading = _check_files(out, names, tokenizer)
    backend, counts, noted = _load(tokenizer), CorpusCounts(), Counter[str]()
    progress = _progress(names, counts, quiet=quiet, out=out)
    with output(out, reading=reading) as writer, progress:
        lines = _lines(names, counts, column=None, plain=True, quiet=quiet)
        for number, line in enumerate(progress.counting(lines), 1):
            ids = _ids(line, number, backend.vocab_size)
            noted["unknown_written"] += backend.unknown_id in ids
            writer.line(backend.decode(ids))
    report(reading_counts(counts) + noted, quiet=quiet, read=counts)


def _ids(line: str, number: int, vocab_size: int) -> list[int]:
    """Return the ids on a line. Raises CorpusError for anything else."""
    from tokenizer import CorpusError

    try:
        ids = [int(word) for word in line.split()]
    except ValueError:
        raise CorpusError(f"line {number} is no list of ids: {line[:60]!r}") from None
    unknown = [token_id for token_id in ids if not 0 <= token_id < vocab_size]
    if unknown:
        raise CorpusError(f"line {number}: id {unknown[0]} is not in 0 … {vocab_size - 1}")
    return ids


@app.command()
def show(
    tokenizer: Annotated[
        Path, typer.Argument(metavar="PATH", help="A tokenizer.json, or a folder that holds one.")
    ],
) -> None:
    """Show a tokenizer's kind, the size of its vocabulary and its special tokens."""
    facts = _load(tokenizer).describe()
    with output(None) as writer:
        writer.line(f"kind        {facts['kind']}")
        writer.line(f"vocabulary  {facts['vocabulary']:,}")
        for name, token_id in facts["special"].items():
            writer.line(f"special     {token_id} {name}")
