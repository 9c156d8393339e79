"""Options that commands share."""

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[
    Path,
    typer.Option(
        "-m", "--model", envvar="TRANSDUCE_MODEL", help="A model's folder, or a training run's."
    ),
]
Device = Annotated[
    str, typer.Option("--device", envvar="TRANSDUCE_DEVICE", help="auto, cpu, cuda or cuda:N.")
]
Dtype = Annotated[str, typer.Option("--dtype", help="Of the weights: float32 or bfloat16.")]
Seed = Annotated[int, typer.Option("--seed", help="Of sampling; the same seed, the same text.")]
BatchTokens = Annotated[
    int,
    typer.Option("--batch-tokens", min=1, help="Padded source tokens times beams in one batch."),
]
MaybeBeam = Annotated[
    int | None,
    typer.Option("--beam", min=1, help="Beams; 1 is greedy. Default: the model's, or 5."),
]
Beam = Annotated[int, typer.Option("--beam", min=1, help="Beams; 1 is no beam search.")]
LengthPenalty = Annotated[
    float | None,
    typer.Option(
        "--length-penalty",
        help="α in log p / length^α; the length counts the end. Default: the model's, or 1.",
    ),
]
SourceLanguage = Annotated[
    str | None, typer.Option("--from", help="Multilingual models: the source's language.")
]
TargetLanguage = Annotated[
    str | None, typer.Option("--to", help="Multilingual models: the language to translate into.")
]
NBest = Annotated[int, typer.Option("--n-best", min=1, help="Answers a line, best first.")]
Temperature = Annotated[
    float | None,
    typer.Option("-t", "--temperature", min=0.0, help="Sample; 0 is greedy, 1 the model's own."),
]
TopK = Annotated[int | None, typer.Option("--top-k", help="Sample among the k likeliest tokens.")]
TopP = Annotated[
    float | None, typer.Option("--top-p", help="Sample among the likeliest that sum to p.")
]
MinP = Annotated[
    float | None, typer.Option("--min-p", help="Sample among those p times as likely as the best.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.")]
Output = Annotated[Path | None, typer.Option("-o", "--output", help="A file instead of stdout.")]
Column = Annotated[
    str | None,
    typer.Option("--column", help="Of TSV files, a number from 1; of JSONL files, a field."),
]
