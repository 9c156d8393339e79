"""`transduce tag`: texts in, their labelled spans out, such as named entities."""

from typing import TYPE_CHECKING, Annotated, Any

from transformer.pipelines.arguments import TagArguments

from ..console import print_notice
from ..io.filter import filter_lines
from ..io.output_checks import output_is_terminal
from ..io.text_arguments import named_inputs
from ..io.typed_text import HINT
from ..options import common as opt
from ..options.groups import grouped, option
from ..render.line_records import LineFormatter, in_a_cell

if TYPE_CHECKING:
    from transformer.pipelines.records import Answer
    from transformer.pipelines.tagging import TaggedSpan


@grouped
def tag(
    files: opt.InputFiles = None,
    *,
    model: opt.Model,
    adapter: opt.Adapter = None,
    arguments: TagArguments,
    as_json: Annotated[
        bool,
        option(
            "--json",
            "Write a JSON object for each line: text, spans (a list of label, text, start, end and "
            "score, in characters of the text from 0); the other fields of a record.",
            panel="Output",
        ),
    ] = False,
    line_io: opt.TagIOOptions,
) -> None:
    """Tag each line: its names, or other spans, with their labels.

    A line gets LABEL<TAB>TEXT<TAB>START<TAB>END<TAB>PROBABILITY for each span in
    turn, all in one line; characters are counted from 0, and END is the first one
    after the span. A line without a span gets an empty line. The model needs a
    head over tags, as train --tagged makes it, or published taggers have it.
    Long lines are read in windows that overlap, so that no word is lost.
    """
    from ..io.line_reader import LineReader
    from ..io.loading import open_session

    reader = LineReader.from_options(named_inputs(files), line_io, with_prefix=False)
    session = open_session([model], line_io, reading=reader, adapter=adapter)
    if output_is_terminal(line_io.out) and not (as_json or line_io.quiet):
        print_notice("spans: label, text, first character, the one after the last, probability")
    filter_lines(
        reader,
        line_io,
        lambda source, counts: session.tag(source, arguments, counts),
        _SpanFormatter(as_json=as_json),
        hint=HINT,
    )


class _SpanFormatter(LineFormatter):
    """Formatter of each line's spans."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__({"spans"}, as_json=as_json)

    def columns(self, answer: "Answer[list[TaggedSpan]]") -> str:
        """Implement LineFormatter.columns."""
        spans = answer.outputs[0] if answer.outputs else []
        cells = ((in_a_cell(s.label), in_a_cell(s.text), s.start, s.end) for s in spans)
        scores = (f"{span.score:.6f}" for span in spans)
        pairs = zip(cells, scores, strict=True)
        return "\t".join(str(cell) for each, score in pairs for cell in (*each, score))

    def fields(self, answer: "Answer[list[TaggedSpan]]") -> dict[str, Any]:
        """Implement LineFormatter.fields."""
        spans = answer.outputs[0] if answer.outputs else []
        return {"spans": [span._asdict() for span in spans]}
