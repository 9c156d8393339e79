"""`transduce embed`: lines in, vectors out."""

from collections import Counter
from typing import Annotated

from ..io.filter import report
from ..io.streams import input_lines, output
from ..options import common as opt
from ..options.groups import option


def embed(
    files: opt.InputFiles = None,
    *,
    model: opt.Model,
    pooling: Annotated[
        str | None,
        option(
            "--pooling NAME",
            "Combine the states of a text's tokens: their mean, the first, or the max of each "
            "dimension. Default: the model's own, or mean.",
        ),
    ] = None,
    normalize: Annotated[
        bool | None,
        option(
            "--normalize/--no-normalize",
            "Scale each vector to length 1, or not. Default: the model's own, or scale.",
        ),
    ] = None,
    batch_tokens: Annotated[
        int,
        option("--batch-tokens N", "Most tokens of a batch: its lines times the longest.", min=1),
    ] = 4096,
    column: opt.PlainColumn = None,
    device: opt.Device = "auto",
    dtype: opt.Dtype = "float32",
    out: opt.Output = None,
    quiet: opt.Quiet = False,
) -> None:
    """Write a vector for each line, as a JSON list: the encoder's states, pooled.

    The model needs an encoder. A text that is longer than the model's context
    is cut there, and counted.
    """
    import json

    from tokenizer import CorpusCounts
    from transformer.loading import read_pooling_config
    from transformer.pipelines import IterableSource
    from transformer.pipelines.embedding import POOLINGS, embed_lines

    from ..io.loading import load_with_notice

    if pooling is not None:
        POOLINGS.check(pooling)
    loaded = load_with_notice(model, device=device, dtype=dtype, quiet=quiet)
    config = read_pooling_config(loaded.folder)
    config = config._replace(
        kind=pooling or config.kind, normalize=config.normalize if normalize is None else normalize
    )
    counts, notes = CorpusCounts(), Counter[str]()
    with output(out, reading=files) as writer:
        source = IterableSource(input_lines(files, counts, column))
        for answer in embed_lines(loaded, source, config, budget=batch_tokens, counts=notes):
            (embedding,) = answer.outputs
            writer.line(json.dumps([round(x, 8) for x in embedding.vector.tolist()]))
    report(counts, quiet=quiet, notes=notes)
