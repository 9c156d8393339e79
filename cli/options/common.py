"""Options that commands share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[
    Path,
    typer.Option(
        "-m", "--model", envvar="TRANSDUCE_MODEL", help="A model's folder, or a training run's."
    ),
]
Models = Annotated[
    list[Path],
    typer.Option(
        "-m",
        "--model",
        envvar="TRANSDUCE_MODEL",
        help="A model's folder, or a training run's; several of one vocabulary decide together.",
    ),
]
Device = Annotated[
    str, typer.Option("--device", envvar="TRANSDUCE_DEVICE", help="auto, cpu, cuda or cuda:N.")
]
Dtype = Annotated[str, typer.Option("--dtype", help="Of the weights: float32 or bfloat16.")]
BatchTokens = Annotated[
    int,
    typer.Option("--batch-tokens", min=1, help="Padded source tokens times beams in one batch."),
]
Beam = Annotated[
    int | None,
    typer.Option("--beam", min=1, help="Beams; 1 is greedy. Default: the model's, or 5."),
]
LengthPenalty = Annotated[
    float | None,
    typer.Option(
        "--length-penalty",
        help="α in log p / length^α; the length counts the end. Default: the model's, or 1.",
    ),
]
LengthPenaltyKind = Annotated[
    str,
    typer.Option("--length-penalty-kind", help="power: length^α; gnmt: ((5 + length) / 6)^α."),
]
SourceLanguage = Annotated[
    str | None, typer.Option("--from", help="Multilingual models: the source's language.")
]
TargetLanguage = Annotated[
    str | None, typer.Option("--to", help="Multilingual models: the language to translate into.")
]
Scores = Annotated[
    bool, typer.Option("--scores", help="Put each answer's score and a tab before it.")
]
Json = Annotated[
    bool, typer.Option("--json", help="A line of JSON each: text, score, tokens and their scores.")
]
JsonLines = Annotated[
    bool,
    typer.Option("--json-input", help="Each line read is JSON, as in .jsonl files; see --column."),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Exit with 4 where a line could not be answered.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.")]
Output = Annotated[Path | None, typer.Option("-o", "--output", help="A file instead of stdout.")]
Column = Annotated[
    str | None,
    typer.Option("--column", help="Of TSV files, a number from 1; of JSONL files, a field (text)."),
]


@dataclass(kw_only=True)
class LineIOOptions:
    """How lines are read and written by the commands that answer line for line."""

    as_json: Json = False
    json_input: JsonLines = False
    column: Column = None
    strict: Strict = False
    batch_tokens: BatchTokens = 4096
    device: Device = "auto"
    dtype: Dtype = "float32"
    out: Output = None
    quiet: Quiet = False
