"""`transduce embed`: lines in, vectors out."""

import json
from collections import Counter

from transformer.pipelines.arguments import EmbedArguments

from ..io.filter import report
from ..io.output_checks import check_files
from ..io.outputs import output
from ..io.streams import input_lines
from ..options import common as opt
from ..options.groups import grouped


@grouped
def embed(
    files: opt.InputFiles = None,
    *,
    model: opt.Model,
    arguments: EmbedArguments,
    column: opt.LineColumn = None,
    plain: opt.WholeLines = False,
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
    from transformer.pipelines.session import Session

    from ..io.line_reader import numbered_lines
    from ..io.loading import load_with_notice

    opt.refuse_plain(plain, {"--column": column})
    check_files(out, files or ["-"])
    session = Session([load_with_notice(model, device=device, dtype=dtype, quiet=quiet)])
    counts, read = Counter[str](), CorpusCounts()
    lines = numbered_lines(input_lines(files, read, column, plain=plain), read)
    with output(out, reading=files or ["-"]) as writer, ReadAhead(lines) as source:
        for answer in session.embed(source, arguments, counts):
            (embedding,) = answer.outputs
            writer.line(json.dumps([round(x, 8) for x in embedding.vector.tolist()]))
    report(counts, quiet=quiet, read=read)
