"""`transduce classify`: texts in, labels with their probabilities out."""

from typing import TYPE_CHECKING, Annotated, Any

from transformer.pipelines.arguments import ClassifyArguments

from ..console import print_notice
from ..io.filter import filter_lines
from ..io.output_checks import output_is_terminal
from ..io.text_arguments import named_inputs
from ..io.typed_text import HINT
from ..options import common as opt
from ..options.groups import grouped, option
from ..render.line_records import LineFormatter, in_a_cell

if TYPE_CHECKING:
    from transformer.loading import LoadedModel
    from transformer.pipelines.classification import LabelScore
    from transformer.pipelines.records import Answer

_PAIRS = "; for a model of pairs: cut -f1,2 FILE | transduce classify --pairs"
_EACH = "each line is a pair; tail -n +2 leaves out the first"


@grouped
def classify(
    files: opt.InputFiles = None,
    *,
    model: opt.Model,
    adapter: opt.Adapter = None,
    arguments: ClassifyArguments,
    as_json: Annotated[
        bool,
        option(
            "--json",
            "Write a JSON object for each line: text, labels (a list of label and score, the "
            "likeliest first) or, of a model that gives numbers, score; the other fields of a "
            "record.",
            panel="Output",
        ),
    ] = False,
    line_io: opt.LabelIOOptions,
) -> None:
    """Classify each line: its label and the label's probability, or a number.

    A line gets LABEL<TAB>PROBABILITY: the most probable label, --top-k of them,
    or all that are likely where a text may have several. The model needs a head
    over labels, as train --labelled makes it, or published classifiers have it.
    A text that is longer than the model's context is cut there, and counted.
    """
    from ..io.line_reader import LineReader
    from ..io.loading import open_session

    tabs = arguments.pairs
    reader = LineReader.from_options(
        named_inputs(files),
        line_io,
        whole_rows=tabs,
        remedy=_PAIRS,
        choice=_EACH if tabs else "",
        with_prefix=False,
    )
    session = open_session([model], line_io, reading=reader, adapter=adapter)
    if output_is_terminal(line_io.out) and not (as_json or line_io.quiet):
        print_notice(_heading(session.lead))
    filter_lines(
        reader,
        line_io,
        lambda source, counts: session.classify(source, arguments, counts),
        _LabelFormatter(session.lead, as_json=as_json),
        hint="type two texts with a tab between; Ctrl-D ends" if tabs else HINT,
        tabs=tabs,
    )


def _heading(loaded: "LoadedModel") -> str:
    if loaded.config.label_kind == "number":
        return "the number of each text:"
    return f"labels with their probabilities, of {_listed(loaded.labels)}:"


def _listed(labels: tuple[str, ...], limit: int = 8) -> str:
    more = [f"{len(labels) - limit:,} more"] if len(labels) > limit else []
    return ", ".join([*labels[:limit], *more])


class _LabelFormatter(LineFormatter):
    """Formatter of each line's labels."""

    def __init__(self, loaded: "LoadedModel", *, as_json: bool) -> None:
        self._gives_number = loaded.config.label_kind == "number"
        super().__init__({"score" if self._gives_number else "labels"}, as_json=as_json)

    def columns(self, answer: "Answer[list[LabelScore]]") -> str:
        """Implement LineFormatter.columns."""
        labels = answer.outputs[0] if answer.outputs else []
        if self._gives_number:
            return f"{labels[0].score:.6f}" if labels else ""
        return "\t".join(f"{in_a_cell(name)}\t{score:.6f}" for name, score in labels)

    def fields(self, answer: "Answer[list[LabelScore]]") -> dict[str, Any]:
        """Implement LineFormatter.fields."""
        labels = answer.outputs[0] if answer.outputs else []
        if self._gives_number:
            return {"score": labels[0].score if labels else None}
        return {"labels": [each._asdict() for each in labels]}
