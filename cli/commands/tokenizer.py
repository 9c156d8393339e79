"""`transduce tokenizer`: train one, look at one, run one."""

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import is_terminal, say
from ..io.filter import report
from ..io.streams import input_lines, output
from ..options.common import Column, Output, Quiet

if TYPE_CHECKING:
    from tokenizer import Tokenizer

app = typer.Typer(help="Train, show and run tokenizers.", no_args_is_help=True)

TokenizerPath = Annotated[
    Path, typer.Option("-t", "--tokenizer", help="A tokenizer.json, or a folder that has one.")
]
Input = Annotated[str | None, typer.Argument(metavar="[FILE]", help="Default: stdin.")]
_TOGETHER = 1000


def _load(path: Path) -> "Tokenizer":
    from tokenizer import Tokenizer

    return Tokenizer.load(path / "tokenizer.json" if path.is_dir() else path)


def _together(lines: Iterator[str]) -> Iterator[list[str]]:
    while chunk := list(islice(lines, _TOGETHER)):
        yield chunk


def _watched(lines: Iterator[str], quiet: bool) -> Iterator[str]:
    """The same lines, with a count on stderr while they are read."""
    if quiet or not is_terminal():
        yield from lines
        return
    count = 0
    for count, line in enumerate(lines, 1):
        if count % 20_000 == 0:
            sys.stderr.write(f"\rreading: {count:,} lines")
            sys.stderr.flush()
        yield line
    sys.stderr.write(f"\rread {count:,} lines          \n")


@app.command()
def train(
    files: Annotated[
        list[str] | None,
        typer.Argument(help="Text, TSV or JSONL files, gzipped or not; `-` or none: stdin."),
    ] = None,
    *,
    out: Annotated[Path, typer.Option("-o", "--output", help="Where to write it.")] = Path(
        "tokenizer.json"
    ),
    kind: Annotated[str, typer.Option(help="bpe, byte-bpe, unigram, wordpiece or char.")] = "bpe",
    vocab_size: Annotated[int, typer.Option(min=5, help="The most tokens it may have.")] = 8000,
    lowercase: Annotated[bool, typer.Option("--lowercase", help="Lower-case all text.")] = False,
    normalization: Annotated[
        str, typer.Option(help="Unicode: none, nfc, nfkc or strip-accents.")
    ] = "nfc",
    min_frequency: Annotated[int, typer.Option(min=1, help="Rarer pairs are not merged.")] = 2,
    special: Annotated[
        list[str] | None, typer.Option(help="A further token to keep whole; may be repeated.")
    ] = None,
    language: Annotated[
        list[str] | None, typer.Option(help="Add the tag <2LANGUAGE>; may be repeated.")
    ] = None,
    column: Column = None,
    max_bytes: Annotated[
        int, typer.Option(min=1, help="Text beyond is left unread; keeps memory bounded.")
    ] = 2_000_000_000,
    quiet: Quiet = False,
) -> None:
    """Train a tokenizer on any amount of text."""
    from tokenizer import (
        CorpusCounts,
        TextFile,
        TrainingOptions,
        language_tag,
        read_all,
        train_tokenizer,
    )

    counts = CorpusCounts()
    tags = [language_tag(name) for name in language or []]
    options = TrainingOptions(
        kind=kind,
        vocab_size=vocab_size,
        normalization=normalization,
        lowercase=lowercase,
        min_frequency=min_frequency,
        special=(*(special or []), *tags),
        max_bytes=max_bytes,
    )
    lines = read_all([TextFile(path, column) for path in files or ["-"]], counts)
    trained = train_tokenizer(_watched(lines, quiet), options, progress=is_terminal() and not quiet)
    trained.save(out)
    report(counts, quiet=quiet)
    if not quiet:
        say(f"{out}: {kind}, {trained.vocab_size:,} tokens from {counts.lines:,} lines")


@app.command()
def encode(
    file: Input = None,
    *,
    tokenizer: TokenizerPath,
    pieces: Annotated[
        bool, typer.Option("--pieces", help="Show the tokens' names, not ids.")
    ] = False,
    column: Column = None,
    out: Output = None,
    quiet: Quiet = False,
) -> None:
    """Turn each line into a line of ids."""
    from tokenizer import CorpusCounts

    backend, counts = _load(tokenizer), CorpusCounts()
    with output(out, reading=[file] if file else None) as writer:
        for chunk in _together(input_lines([file] if file else None, counts, column)):
            if pieces:
                rows = [backend.pieces(line) for line in chunk]
            else:
                rows = [[str(i) for i in ids] for ids in backend.encode_batch(chunk)]
            for row in rows:
                writer.line(" ".join(row))
    report(counts, quiet=quiet)


@app.command()
def decode(
    file: Input = None, *, tokenizer: TokenizerPath, out: Output = None, quiet: Quiet = False
) -> None:
    """Turn each line of ids back into text."""
    from tokenizer import CorpusCounts

    backend, counts = _load(tokenizer), CorpusCounts()
    with output(out, reading=[file] if file else None) as writer:
        for number, line in enumerate(input_lines([file] if file else None, counts), 1):
            writer.line(backend.decode(_ids(line, number, backend.vocab_size)))
    report(counts, quiet=quiet)


def _ids(line: str, number: int, vocab_size: int) -> list[int]:
    from tokenizer import CorpusError

    try:
        ids = [int(word) for word in line.split()]
    except ValueError:
        raise CorpusError(f"line {number} is no list of ids: {line[:60]!r}") from None
    wrong = [token_id for token_id in ids if not 0 <= token_id < vocab_size]
    if wrong:
        raise CorpusError(f"line {number}: id {wrong[0]} is not in 0 … {vocab_size - 1}")
    return ids


@app.command()
def show(tokenizer: Annotated[Path, typer.Argument(help="A tokenizer.json or a folder.")]) -> None:
    """Show what a tokenizer is: its kind, its size, its special tokens."""
    facts = _load(tokenizer).describe()
    with output(None) as writer:
        writer.line(f"kind        {facts['kind']}")
        writer.line(f"vocabulary  {facts['vocabulary']:,}")
        for name, token_id in facts["special"].items():
            writer.line(f"special     {token_id} {name}")
