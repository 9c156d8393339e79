"""`transduce checkpoint`: show, list, compare, convert and average models."""

import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import print_notice
from ..io.filter import reading_counts, report
from ..io.output_checks import check_folder
from ..io.outputs import output, terminal_width
from ..options.common import Adapter, Device, Quiet
from ..options.groups import checked_text, option
from ..options.lists import ListAsJson, ListedFolder
from ..options.names import MODEL_FORMAT_NAMES, STORED_TYPES

if TYPE_CHECKING:
    from transformer.pipelines.comparison import Difference

MAX_LINES = 64  # that are compared
SAMPLES = [
    "The quick brown fox jumps over the lazy dog.",
    "Two young men are playing football in the park.",
    "1, 2, 3: a list (with brackets) and a question?",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich!",
    "Hello",
]

app = typer.Typer(help="Show, list, compare, convert and average models.")
_MODEL = "Model: a folder, a training run's folder, or a name on the Hugging Face hub."
ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help=_MODEL)]
OutputFolder = Annotated[
    Path,
    option(
        "-o --output FOLDER",
        "Folder for the new model. An existing one is replaced if it is empty or this program "
        "wrote it, else refused.",
        panel="Output",
    ),
]


@app.callback()
def group() -> None:
    """Show, list, compare, convert and average models."""


@app.command()
def show(model: ModelArgument) -> None:
    """Show what a model can do, its architecture, size, settings and origin; or an adapter.

    Its weights are not read.
    """
    from transformer.loading import find_folder, summarize_model
    from transformer.training.run_summary import run_facts

    facts = [*summarize_model(model), *run_facts(find_folder(model))]
    with output(None) as writer:
        for name, value in facts:
            writer.line(f"{name:<13} {value}")


@app.command("list")
def list_checkpoints(
    folder: ListedFolder = Path(), *, as_json: ListAsJson = False, quiet: Quiet = False
) -> None:
    """List the models in a folder and in the Hugging Face hub's cache, by the names -m takes.

    Each checkpoint of a run is one. Folders below it are looked into, four
    levels deep, but hidden ones.
    """
    from transformer.folder_search import FolderSearch
    from transformer.training.model_list import list_models

    from ..render.listing import cut_notice, model_record, model_rows, table

    search = FolderSearch()
    models = list_models(folder, search)
    with output(None) as writer:
        records = (json.dumps(model_record(model)) for model in models)
        for line in records if as_json else table(model_rows(models), limit=terminal_width()):
            writer.line(line)
    if search.is_cut:
        print_notice(cut_notice(folder, search.cut))
    if not models and not quiet:
        print_notice(f"no models in {folder.absolute()}, and none in the hub's cache")


@app.command()
def verify(
    first: Annotated[Path, typer.Argument(metavar="FIRST", help=_MODEL)],
    second: Annotated[
        Path,
        typer.Argument(
            metavar="SECOND", help="Model that should compute the same, such as a converted one."
        ),
    ],
    *,
    text: Annotated[
        Path | None,
        option(
            "--text FILE",
            f"File of lines to compare on, the first {MAX_LINES} of it. Default: a few sentences.",
            panel="Input",
        ),
    ] = None,
    tolerance: Annotated[
        float,
        option(
            "--tolerance X",
            "Largest difference between logits, or between an encoder's vectors, that is "
            "allowed; beyond it, or if the texts of beam search differ, the exit code is 1.",
            min=0.0,
            panel="Output",
        ),
    ] = 1e-3,
    device: Device = "auto",
) -> None:
    """Compare two models on the same lines: logits, and texts of beam search or vectors.

    Each line of output has the largest difference of logits, "same text" or
    "other text" (for an encoder "same vector" or "other vector", of the line as
    `embed` has it), and the line; the largest comes first. Files are first
    compared with the SHA-256 sums in manifest.json, where there is one.
    """
    from tokenizer import CorpusCounts, CorpusError, TextFile, read_lines
    from tokenizer.quantities import format_count
    from transformer.pipelines.comparison import compare_models, compare_pooling

    from ..io.loading import load_with_notice

    lines, read = SAMPLES, CorpusCounts()
    if text is not None:
        lines = [*islice(read_lines(TextFile(str(text)), read), MAX_LINES)]
        if not lines:
            raise CorpusError(f"{text} is empty: there is nothing to compare on")
    one, other = (
        load_with_notice(path, device=device, dtype="float32", quiet=True, trust_cache=False)
        for path in (first, second)
    )
    differences = compare_models(one, other, lines)
    with output(None) as writer:
        for difference in differences:
            writer.line(f"{difference.max_logit_diff:.2e}\t{_same(difference, tolerance)}")
    report(reading_counts(read), quiet=False, read=read)
    largest = max(difference.max_logit_diff for difference in differences)
    changed = sum(_same(difference, tolerance).startswith("other") for difference in differences)
    pooling = compare_pooling(one, other)
    if pooling:
        print_notice(f"{first} and {second} pool differently: {'; '.join(pooling)}")
    if largest > tolerance or changed:
        print_notice(
            f"{first} and {second} differ: by {largest:.2e} in logits, and in the answers to "
            f"{changed} of {format_count(len(differences), 'line')}"
        )
    if largest > tolerance or changed or pooling:
        raise typer.Exit(1)


def _same(difference: "Difference", tolerance: float) -> str:
    if difference.max_vector_diff is None:
        same = "same text" if difference.same_output else "other text"
    else:
        same = "same vector" if difference.max_vector_diff <= tolerance else "other vector"
    return f"{same}\t{difference.text}"


def _replaced(out: Path) -> str:
    """Return what is said of a folder whose model another one takes the place of."""
    has_model = out.is_dir() and any(out.iterdir())
    return ", in place of the model that was there" if has_model else ""


@app.command()
def convert(
    model: ModelArgument,
    *,
    adapter: Adapter = None,
    out: OutputFolder,
    to: Annotated[
        str | None,
        option(
            "--to NAME",
            "transduce, ctranslate2, or a family of published models: gpt2, llama, mistral, "
            "qwen2, qwen3, smollm3, olmo2, gemma2, gemma3_text, phi3, "
            "bert, distilbert, roberta, xlm-roberta, roformer, longformer, bart, led, mbart, "
            "pegasus, marian, m2m_100, t5; huggingface is the first of them that has such a "
            "network. Default: huggingface, and transduce for --dtype int8.",
            panel="Output",
            choices=MODEL_FORMAT_NAMES,
            callback=checked_text,  # a registry checks it, which may have more
        ),
    ] = None,
    dtype: Annotated[
        str | None,
        option(
            "--dtype NAME",
            "Number type to write: float32, bfloat16, float16, or int8: large matrices in 8 bits, "
            "for transduce itself on a CPU, which then computes as with --dtype int8. Default: "
            "that of the model.",
            panel="Output",
            choices=STORED_TYPES,
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Convert a model for other programs, or a published model for this one.

    With --adapter, the adapter is merged into the new model.
    Weights keep their number type unless --dtype names another. A network that
    the format cannot express is refused. ctranslate2 needs the extra "export".
    """
    from transformer.export import convert_model

    check_folder(out, [model, *([] if adapter is None else [adapter])])
    notices, replaced = list[str](), _replaced(out)
    family = convert_model(model, out, to=to, dtype=dtype, adapter=adapter, notices=notices)
    if not quiet:
        print_notice(f"{out}: written as a {family} model{replaced}")
    for notice in notices:
        print_notice(notice)


@app.command()
def average(
    models: Annotated[
        list[Path],
        typer.Argument(
            metavar="MODEL...",
            help="Model folders of one format, transduce's own or a published one; a training "
            "run's folder means all the checkpoints that it kept.",
        ),
    ],
    *,
    out: OutputFolder,
    last: Annotated[
        int | None,
        option(
            "--last N",
            "Of each run, average only the last N checkpoints kept.",
            min=1,
            panel="Input",
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Average the weights of several checkpoints of one model (arXiv 1706.03762 §6.1).

    The new model has their format, and those of the first one's other files that
    belong to a model; the rest are named.
    """
    from transformer.export import average_models

    check_folder(out, models)
    notices, replaced = list[str](), _replaced(out)
    folders = average_models(models, out, last=last, notices=notices)
    if not quiet:
        print_notice(f"{out}: the mean of {', '.join(folder.name for folder in folders)}{replaced}")
    for notice in notices:
        print_notice(notice)
