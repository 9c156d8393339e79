"""`transduce embed`: lines in, vectors out."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from transformer.pipelines.arguments import EmbedArguments

from ..io.filter import filter_progress, line_source, report, reporting_early_end
from ..io.output_checks import check_files, is_array_name
from ..io.outputs import array_output, output
from ..io.text_arguments import named_inputs
from ..io.typed_text import HINT
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
    adapter: opt.Adapter = None,
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
    dtype: opt.Dtype = None,
    out: Annotated[
        Path | None,
        option(
            "-o --output FILE",
            "Write to this file, replacing it, instead of stdout (-); one named .npy is a NumPy "
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
    from transformer.errors import ConfigError
    from transformer.pipelines.session import Session

    from ..io.line_reader import RecordReader
    from ..io.loading import load_with_notice
    from ..render.input_fields import InputFields

    opt.refuse_plain(plain, {"--column": column})
    reader = RecordReader(named_inputs(files), column=column, plain=plain)
    check_files(out, reader.paths, arrays=True)
    if as_json and out is not None and is_array_name(out):
        raise ConfigError(f"-o {out} is an array of vectors alone; --json writes text beside them")
    reader.check_first_records()
    loaded = load_with_notice(model, device=device, dtype=dtype, quiet=quiet, adapter=adapter)
    session = Session([loaded])
    counts, fields = Counter[str](), InputFields({"text", "embedding"}) if as_json else None
    with (
        reporting_early_end(counts, reader.counts, list if fields is None else fields.notices),
        _writing(out, reader.paths, session.vector_size(arguments), fields) as write,
        filter_progress(reader, out, quiet=quiet) as progress,
        line_source(reader, progress, hint=None if quiet else HINT) as source,
    ):
        for answer in progress.counting(session.embed(source, arguments, counts)):
            write(answer)
    for notice in [] if fields is None else fields.notices():
        reader.counts.notice(notice)
    report(counts, quiet=quiet, read=reader.counts)


@contextmanager
def _writing(
    out: Path | None, reading: Sequence[str], width: int, fields: "InputFields | None"
) -> "Iterator[Write]":
    """Open the output; give what writes an answer there: as an array's row, a list or a record."""
    if out is not None and is_array_name(out):
        with array_output(out, width=width, reading=reading) as array:
            yield lambda answer: array().row(answer.outputs[0].vector.numpy())
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
