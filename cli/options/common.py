"""Options that commands share."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from .groups import option
from .names import DTYPES

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
Model = Annotated[
    Path,
    option(
        "-m --model MODEL",
        _MODEL,
        envvar="TRANSDUCE_MODEL",
        panel="Model",
    ),
]
Models = Annotated[
    list[Path],
    option(
        "-m --model MODEL",
        f"{_MODEL} Repeat it for models with the same tokens: their probabilities are averaged.",
        envvar="TRANSDUCE_MODEL",
        panel="Model",
    ),
]
Adapter = Annotated[
    Path | None,
    option(
        "--adapter ADAPTER",
        "LoRA adapter to put on the model: a PEFT folder, a run that trained one, or a name on the "
        "hub. A run of ours needs no -m but itself.",
        panel="Model",
    ),
]
Device = Annotated[
    str,
    option(
        "--device NAME",
        "Device to compute on: auto (a GPU if there is one), cpu, cuda or cuda:N.",
        envvar="TRANSDUCE_DEVICE",
        panel="Running",
    ),
]
Dtype = Annotated[
    str | None,
    option(
        "--dtype NAME",
        "Number type of weights: float32; on a CPU float16 (half the memory, nearly always the "
        "same text) or int8 (a third, at times another); bfloat16. Default: auto, the "
        "faster of float32 and float16 on a CPU, bfloat16 on a GPU, a folder's int8.",
        panel="Running",
        choices=DTYPES,
    ),
]
Scores = Annotated[
    bool,
    option(
        "--scores",
        "Write each answer's score (log p / length^A) and a tab before it; --json always has "
        "scores.",
        panel="Output",
    ),
]
JsonLines = Annotated[
    bool,
    option(
        "--json-input",
        "Read each line as a JSON object, as in .jsonl files, or the items of one array. --column "
        "names the text's field; --json writes the other fields again.",
        panel="Input",
    ),
]
Strict = Annotated[
    bool,
    option(
        "--strict",
        "Exit with code 4, after all lines, if any could not be answered (else only if none "
        "could), or if an answer does not fit --json-schema, --regex or --choice, or lacks a "
        "term that it must have.",
        panel="Output",
    ),
]
StrictLabels = Annotated[
    bool,
    option(
        "--strict",
        "Exit with code 4, after all lines, if any could not be classified (else only if none "
        "could).",
        panel="Output",
    ),
]
StrictTags = Annotated[
    bool,
    option(
        "--strict",
        "Exit with code 4, after all lines, if any could not be tagged (else only if none could).",
        panel="Output",
    ),
]
StrictFills = Annotated[
    bool,
    option(
        "--strict",
        "Exit with code 4, after all lines, if any could not be filled in (else only if none "
        "could).",
        panel="Output",
    ),
]
StrictScores = Annotated[
    bool,
    option(
        "--strict",
        "Exit with code 4, after all lines, if any could not be scored (else only if none could).",
        panel="Output",
    ),
]
Quiet = Annotated[
    bool,
    option(
        "-q --quiet",
        "Write no progress and no summary to stderr, only errors, and what was lost, changed or "
        "ignored.",
        panel="Running",
    ),
]
Output = Annotated[
    Path | None,
    option(
        "-o --output FILE",
        "Write to this file, replacing it, instead of stdout (-). One named .gz, .bz2, .xz, .lzma "
        "or .zst is packed. No file of a run or a model is replaced.",
        panel="Output",
    ),
]
LineColumn = Annotated[
    str | None,
    option(
        "--column NAME",
        "Column of the text: a field of JSON, or of TSV and CSV a name in the first row, which "
        "then has no answer, or a number from 1. Default: text, or the only one.",
        panel="Input",
    ),
]
WholeLines = Annotated[
    bool,
    option(
        "--plain",
        "Read every file as plain lines, also a table or JSON: one named .csv, .tsv, .json or "
        ".jsonl, or text that begins as JSON.",
        panel="Input",
    ),
]


@dataclass(kw_only=True)
class LineIOOptions:
    """Options of reading lines, and of writing an answer to each, by a model on some device."""

    json_input: JsonLines = False
    column: LineColumn = None
    plain: WholeLines = False
    strict: Strict = False
    device: Device = "auto"
    dtype: Dtype = None
    out: Output = None
    quiet: Quiet = False

    def __post_init__(self) -> None:
        """Raise ConfigError for options of which one takes the other's effect."""
        refuse_plain(self.plain, {"--column": self.column, "--json-input": self.json_input})


@dataclass(kw_only=True)
class LabelIOOptions(LineIOOptions):
    """Options of reading lines and of writing labels, which promise less than texts."""

    strict: StrictLabels = False


@dataclass(kw_only=True)
class TagIOOptions(LineIOOptions):
    """Options of reading lines and of writing spans, which promise less than texts."""

    strict: StrictTags = False


@dataclass(kw_only=True)
class FillIOOptions(LineIOOptions):
    """Options of reading lines and of writing fills, which promise less than texts."""

    strict: StrictFills = False


@dataclass(kw_only=True)
class ScoreIOOptions(LineIOOptions):
    """Options of reading lines and of writing scores, which promise less than texts."""

    strict: StrictScores = False


def refuse_plain(plain: bool, others: Mapping[str, object]) -> None:
    """Raise ConfigError for options of records, by name, that go with --plain."""
    from transformer.errors import ConfigError

    if plain and (named := [name for name, value in others.items() if value]):
        raise ConfigError(f"--plain reads whole lines; it cannot go with {', '.join(named)}")
