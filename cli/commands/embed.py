"""`transduce embed`: lines in, vectors out."""

import json
from collections import Counter

from transformer.pipelines.arguments import EmbedArguments

from ..io.filter import report
from ..io.streams import input_lines, output
from ..options import common as opt
from ..options.groups import grouped


@grouped
def embed(
    files: opt.InputFiles = None,
    *,
    model: opt.Model,
    arguments: EmbedArguments,
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
    from tokenizer import CorpusCounts
    from transformer.pipelines.read_ahead import ReadAhead
    from transformer.pipelines.records import Line
    from transformer.pipelines.session import Session

    from ..io.loading import load_with_notice

    session = Session([load_with_notice(model, device=device, dtype=dtype, quiet=quiet)])
    counts, notes = CorpusCounts(), Counter[str]()
    lines = (Line(number, text) for number, text in enumerate(input_lines(files, counts, column)))
    with output(out, reading=files) as writer, ReadAhead(lines) as source:
        for answer in session.embed(source, arguments, notes):
            (embedding,) = answer.outputs
            writer.line(json.dumps([round(x, 8) for x in embedding.vector.tolist()]))
    report(counts, quiet=quiet, notes=notes)
