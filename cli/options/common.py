"""Options that commands share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from .groups import option

_MODEL = (
    "Model: a folder, a training run's folder (its best checkpoint), or a name on the Hugging "
    "Face hub (owner/name)."
)
InputFiles = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FILE]...",
        help="Files to read, one after another, packed or not; - is stdin. Default: stdin.",
    ),
]
Model = Annotated[Path, option("-m --model MODEL", _MODEL, envvar="TRANSDUCE_MODEL")]
Models = Annotated[
    list[Path],
    option(
        "-m --model MODEL",
        f"{_MODEL} Repeat it for models with the same tokens: their probabilities are averaged.",
        envvar="TRANSDUCE_MODEL",
    ),
]
Device = Annotated[
    str,
    option(
        "--device NAME",
        "Device to compute on: auto (a GPU if there is one), cpu, cuda or cuda:N.",
        envvar="TRANSDUCE_DEVICE",
    ),
]
Dtype = Annotated[
    str,
    option(
        "--dtype NAME",
        "Number type of the weights: float32, or bfloat16 (half the memory, less exact).",
    ),
]
Scores = Annotated[
    bool,
    option(
        "--scores",
        "Write each answer's score (log p / length^A) and a tab before it; --json always has "
        "scores.",
    ),
]
JsonLines = Annotated[
    bool,
    option(
        "--json-input",
        "Read each line as a JSON object, as in .jsonl files. --column names the text's "
        "field; --json writes the other fields again.",
    ),
]
Strict = Annotated[
    bool,
    option(
        "--strict",
        "Exit with code 4, after all lines, if any could not be answered, or if an answer "
        "does not fit --json-schema, --regex or --choice, or lacks a term of --must or "
        "--glossary.",
    ),
]
Quiet = Annotated[
    bool,
    option(
        "-q --quiet",
        "Write no progress and no summary to stderr, only errors, and what was lost, changed or "
        "ignored.",
    ),
]
Output = Annotated[
    Path | None,
    option(
        "-o --output FILE",
        "Write to this file, replacing it, instead of stdout (-). One named .gz, .bz2, .xz, .lzma "
        "or .zst is packed. No file of a run or a model is replaced.",
    ),
]
LineColumn = Annotated[
    str | None,
    option(
        "--column NAME",
        "Column of the text: a field of JSON (default: text), or the number, from 1, of a "
        "tab-separated column (default: the whole line).",
    ),
]
PlainColumn = Annotated[
    str | None,
    option(
        "--column NAME",
        "Column of the text: a field in .jsonl files, else the number, from 1, of a "
        "tab-separated column. Default: the whole line, also in .jsonl files.",
    ),
]


@dataclass(kw_only=True)
class LineIOOptions:
    """Options of reading lines, and of writing an answer to each, by a model on some device."""

    json_input: JsonLines = False
    column: LineColumn = None
    strict: Strict = False
    device: Device = "auto"
    dtype: Dtype = "float32"
    out: Output = None
    quiet: Quiet = False
