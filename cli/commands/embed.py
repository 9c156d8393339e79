"""`transduce embed`: lines in, vectors out."""

from collections import Counter
from typing import Annotated

import typer

from ..io.filter import report
from ..io.streams import input_lines, output
from ..options import common as opt


def embed(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]...", help="Default: stdin.")
    ] = None,
    *,
    model: opt.Model,
    pooling: Annotated[
        str | None, typer.Option(help="mean, first or max. Default: the model's, or mean.")
    ] = None,
    normalize: Annotated[
        bool | None, typer.Option(help="To length 1. Default: as the model says, or yes.")
    ] = None,
    batch_tokens: opt.BatchTokens = 4096,
    column: opt.Column = None,
    device: opt.Device = "auto",
    dtype: opt.Dtype = "float32",
    out: opt.Output = None,
    quiet: opt.Quiet = False,
) -> None:
    """Each line's vector as a line of JSON: the states of an encoder, pooled."""
    import json

    from tokenizer import CorpusCounts
    from transformer.loading import read_pooling_config
    from transformer.pipelines.embedding import POOLINGS, embed_lines

    from ..io.loading import load_with_notice

    if pooling is not None:
        POOLINGS.check(pooling)
    loaded = load_with_notice(model, device=device, dtype=dtype, quiet=quiet)
    asked = read_pooling_config(loaded.folder)
    asked = asked._replace(
        kind=pooling or asked.kind, normalize=asked.normalize if normalize is None else normalize
    )
    read, notes = CorpusCounts(), Counter[str]()
    with output(out, reading=files) as writer:
        lines = input_lines(files, read, column)
        for found in embed_lines(loaded, lines, asked, batch_tokens=batch_tokens):
            notes["shortened"] += found.shortened
            writer.line(json.dumps([round(x, 8) for x in found.vector]))
    report(read, quiet=quiet, notes=notes)
