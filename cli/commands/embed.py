"""`transduce embed`: lines in, vectors out."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from transformer.pipelines.arguments import EmbedArguments

from ..io.filter import line_source, report
from ..io.output_checks import check_files, is_array_name
from ..io.outputs import array_output, output
from ..io.text_arguments import named_inputs
from ..options import common as opt
from ..options.groups import grouped, option

if TYPE_CHECKING:
    from transformer.pipelines.embedding import EmbeddingOutput
    from transformer.pipelines.records import Answer

    from ..render.input_fields import InputFields

    Write = Callable[[Answer[EmbeddingOutput]], None]

_DIGITS = 8  # after the point, of numbers in text


@grouped
def embed(
    files: opt.InputFiles = None,
    *,
    model: opt.Model,
    arguments: EmbedArguments,
    as_json: Annotated[
        bool,
        option(
            "--json",
            "Write a JSON object for each line: text, embedding; the other fields of a record; "
            "notices, where something happened to it.",
            panel="Output",
        ),
    ] = False,
    column: opt.LineColumn = None,
    plain: opt.WholeLines = False,
    device: opt.Device = "auto",
    dtype: opt.Dtype = "float32",
    out: Annotated[
        Path | None,
        option(
            "-o --output FILE",
            "Write to this file, replacing it, instead of stdout (-). One named .npy is a NumPy "
            "array (float32), a row for each line. One named .gz, .bz2, .xz, .lzma or .zst is "
            "packed. No file of a run or a model is replaced.",
            panel="Output",
        ),
    ] = None,
    quiet: opt.Quiet = False,
) -> None:
    """Write a vector for each line, as a JSON list: the encoder's states, pooled.

    The model needs an encoder. A text that is longer than the model's context
    is cut there, and counted. -o vectors.npy writes an array, --json the text
    beside its vector.
    """
    from tokenizer import CorpusCounts
    from transformer.errors import ConfigError
    from transformer.pipelines.session import Session

    from ..io.line_progress import LineProgress, input_share, shows_progress
    from ..io.line_reader import whole_records
    from ..io.loading import load_with_notice
    from ..io.streams import check_first_records, input_records
    from ..io.typed_text import is_typed
    from ..render.input_fields import InputFields

    opt.refuse_plain(plain, {"--column": column})
    names = named_inputs(files)
    check_files(out, names, arrays=True)
    if as_json and out is not None and is_array_name(out):
        raise ConfigError(f"-o {out} is an array of vectors alone; --json writes text beside them")
    check_first_records(names, column=column, plain=plain)
    session = Session([load_with_notice(model, device=device, dtype=dtype, quiet=quiet)])
    counts, read = Counter[str](), CorpusCounts()
    records = input_records(names, read, column=column, plain=plain)
    fields = InputFields({"text", "embedding"}) if as_json else None
    width = session.vector_size(arguments)
    progress = LineProgress(
        enabled=shows_progress(quiet, out, names), share=input_share(names, read)
    )
    lines = whole_records(records, read)
    typed = is_typed(names) and column is None
    with (
        _writing(out, names, width, fields) as write,
        progress,
        line_source(lines, progress, read, typed=typed, quiet=quiet) as source,
    ):
        for answer in progress.counting(session.embed(source, arguments, counts)):
            write(answer)
    for notice in [] if fields is None else fields.notices():
        read.notice(notice)
    report(counts, quiet=quiet, read=read)


@contextmanager
def _writing(
    out: Path | None, reading: list[str], width: int, fields: "InputFields | None"
) -> "Iterator[Write]":
    """Open the output; give what writes an answer there: as an array's row, a list or a record."""
    if out is not None and is_array_name(out):
        with array_output(out, width=width, reading=reading) as array:
            yield lambda answer: array.row(answer.outputs[0].vector.numpy())
        return
    with output(out, reading=reading) as writer:
        yield lambda answer: writer.line(json.dumps(_value(answer, fields), ensure_ascii=False))


def _value(answer: "Answer[EmbeddingOutput]", fields: "InputFields | None") -> Any:
    """Return the vector of an answer, in a record with its text and other fields if these go on."""
    from transformer.pipelines.notices import notice_field

    vector = [round(x, _DIGITS) for x in answer.outputs[0].vector.tolist()]
    if fields is None:
        return vector
    known = {**fields(answer.line.fields), "text": answer.line.text, "embedding": vector}
    return {**known, **notice_field(answer.notices)}
