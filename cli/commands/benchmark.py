"""`transduce benchmark`: how fast a model is on this machine."""

import json
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import erase_status, print_notice, progress_enabled, write_status
from ..io.filter import reading_counts, report
from ..io.line_progress import LineProgress
from ..io.output_checks import check_files
from ..io.outputs import output, terminal_width
from ..options import common as opt
from ..options.benchmark import BenchmarkOptions
from ..options.groups import grouped, option

if TYPE_CHECKING:
    from transformer.pipelines.benchmarking import Benchmark


@grouped
def benchmark(
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE]",
            help="File of lines to read, sources or prompts, in place of random tokens. Blank ones "
            "are left out; - is stdin.",
        ),
    ] = None,
    *,
    model: opt.Model,
    adapter: opt.Adapter = None,
    options: BenchmarkOptions,
    as_json: Annotated[
        bool,
        option(
            "--json",
            "Write one JSON object: the machine, each number type with its time of loading and "
            "its memory, and results, each with all its runs.",
            panel="Output",
        ),
    ] = False,
    device: opt.Device = "auto",
    quiet: opt.Quiet = False,
) -> None:
    """Measure how fast a model is on this machine, in each number type and at several batches.

    Of a model that writes, it is the tokens a second that a batch of texts
    gets, reading them included: greedily, and for translators with beam search.
    No token ends a text, and settings of the model's own do not count, so the
    work is the same for all. Of an encoder it is texts a second, of the network
    without reading and splitting of text. In brackets is how many times as fast
    as float32 that is.

    All number types are loaded at once and run by turns, so that whatever else
    the machine does falls on all alike; a number is the median of --repeats
    runs of 0.2 s or more. One that this machine or device cannot use is named,
    with the reason. Memory is what the program grew by until the type had run
    once; mapped are pages of files, nearly all the model's own, which the
    system can take back. Ctrl-C ends, and shows what was measured until then.
    """
    from transformer.loading import choose_device
    from transformer.pipelines.benchmarking import Benchmark
    from transformer.training.planning.memory import available_memory

    settings = options.settings(with_texts=file is not None)
    check_files(None, [] if file is None else [file])
    texts = [] if file is None else _read_texts(file, max(settings.batch_sizes))
    free = available_memory(choose_device(device))
    if progress_enabled(quiet):
        write_status(f"loading {model} …")
    measured = Benchmark(
        model, settings, device=device, adapter=adapter, texts=texts, free_memory=free
    )
    report(Counter(shortened=measured.num_cut), quiet=quiet, with_options=False)
    try:
        _load_types(measured, model, quiet=quiet)
        _measure(measured, quiet=quiet)
    finally:  # what was measured until Ctrl-C is shown, too
        erase_status()
        if measured.runs:
            _write(measured, model, file, as_json=as_json)


def _read_texts(file: str, most: int) -> list[str]:
    """Return the first lines of a file that are not blank. Raises OSError, CorpusError."""
    from tokenizer import CorpusCounts, CorpusError, TextFile, is_blank, read_lines
    from tokenizer.quantities import format_count

    read, name = CorpusCounts(), "stdin" if file == "-" else file
    lines = (line for line in read_lines(TextFile(file), read) if not is_blank(line))
    texts = [*islice(lines, most)]
    if not texts:
        raise CorpusError(f"{name} has no text: there is nothing to read")
    report(reading_counts(read), quiet=False, read=read, with_options=False)
    if len(texts) < most:
        size = format_count(len(texts), "line")
        print_notice(f"{name} has {size} of text: larger batches read some of it several times")
    return texts


def _load_types(measured: "Benchmark", model: Path, *, quiet: bool) -> None:
    """Load all number types; tell which cannot be used, and what is to be said of others."""
    if measured.choice is not None:
        print_notice(measured.choice)
    for name in measured.dtypes:
        if progress_enabled(quiet):
            write_status(f"loading {model} in {name} …")
        measured.load(name)
        if name in measured.not_measured:
            print_notice(f"{name} is not measured: {measured.not_measured[name]}")
        for notice in measured.loaded[name].notices if name in measured.loaded else ():
            print_notice(f"{name}: {notice}")


def _measure(measured: "Benchmark", *, quiet: bool) -> None:
    progress = LineProgress(
        enabled=progress_enabled(quiet),
        share=lambda: measured.share_done,
        unit="run",
        sums_up=False,
    )
    with progress:
        for _ in progress.counting(measured.measure()):
            pass


def _write(measured: "Benchmark", model: Path, file: str | None, *, as_json: bool) -> None:
    from ..render.speeds import speed_lines, speed_record

    with output(None) as writer:
        if as_json:
            writer.line(json.dumps(speed_record(measured, model, file), ensure_ascii=False))
            return
        for line in speed_lines(measured, file, terminal_width()):
            writer.line(line)
