"""`transduce tokenizer`: show and run tokenizers; tokenizer_train.py trains them."""

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..io.filter import reading_counts, report, reporting_early_end
from ..io.line_progress import LineProgress, input_share, line_progress_enabled
from ..io.output_checks import check_files
from ..io.outputs import output
from ..io.streams import input_lines
from ..io.text_arguments import missing_file, named_inputs
from ..io.typed_text import HINT, is_typed, typed_texts
from ..options.common import LineColumn, Output, Quiet, WholeLines, refuse_plain
from ..options.groups import option
from .tokenizer_train import train

if TYPE_CHECKING:
    from tokenizer import CorpusCounts, Tokenizer

app = typer.Typer(help="Train, show and run tokenizers.")

app.command()(train)

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

    if not path.exists():
        raise missing_file(str(path))
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


def _reporting_early_end(
    noted: Counter[str], counts: "CorpusCounts"
) -> AbstractContextManager[None]:
    """Report what happened to lines before an error or Ctrl-C, reading them included."""
    from transformer.pipelines.notices import count_lines

    return reporting_early_end(noted, counts, lambda: count_lines(reading_counts(counts)))


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
    early = _reporting_early_end(noted, counts)
    with early, output(out, reading=reading) as writer, progress:
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
    early = _reporting_early_end(noted, counts)
    with early, output(out, reading=reading) as writer, progress:
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
