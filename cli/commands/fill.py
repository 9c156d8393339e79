"""`transduce fill`: lines with masks in, the likeliest tokens for each mask out."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

from transformer.pipelines.arguments import FillArguments

from ..console import print_notice
from ..io.filter import filter_lines
from ..io.output_checks import output_is_terminal
from ..io.text_arguments import named_inputs
from ..options import common as opt
from ..options.groups import grouped, option
from ..render.line_records import LineFormatter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformer.pipelines.filling import Fill, MaskFills
    from transformer.pipelines.records import Answer


@grouped
def fill(
    files: opt.InputFiles = None,
    *,
    model: opt.Model,
    adapter: opt.Adapter = None,
    arguments: FillArguments,
    as_json: Annotated[
        bool,
        option(
            "--json",
            "Write a JSON object for each line: text, fills (for each mask a list of token, text "
            "and probability) and filled, the text with the likeliest of each; the other fields of "
            "a record.",
            panel="Output",
        ),
    ] = False,
    line_io: opt.FillIOOptions,
) -> None:
    """Fill in the masks of each line: the most probable tokens, with their probabilities.

    A mask is written as the model's mask token, [MASK] or <mask>. A line gets
    FILL<TAB>PROBABILITY for each fill, the likeliest first, and for each of its
    masks in turn. The model needs the head that predicts masked tokens, as
    train --objective masked-lm makes it.
    """
    from transformer.pipelines.filling import check_fills

    from ..io.line_reader import LineReader
    from ..io.loading import open_session

    reader = LineReader.from_options(named_inputs(files), line_io, with_prefix=False)
    session = open_session([model], line_io, reading=reader, adapter=adapter)
    mask = check_fills(session.lead, arguments)
    if output_is_terminal(line_io.out) and not (as_json or line_io.quiet):
        print_notice("fills of each mask with their probabilities, likeliest first:")
    filter_lines(
        reader,
        line_io,
        lambda source, counts: session.fill(source, arguments, counts),
        _FillFormatter(as_json=as_json),
        hint=f"type lines with {mask} in them; Ctrl-D ends",
    )


class _FillFormatter(LineFormatter):
    """Formatter of each line's fills."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__({"fills", "filled"}, as_json=as_json)

    def columns(self, answer: "Answer[MaskFills]") -> str:
        """Implement LineFormatter.columns."""
        masks = [mask for output in answer.outputs for mask in output.fills]
        return "\t".join(cell for mask in masks for cell in _cells(mask))

    def fields(self, answer: "Answer[MaskFills]") -> dict[str, Any]:
        """Implement LineFormatter.fields."""
        fills: list[Any] = []
        for output in answer.outputs:
            fills = [[each._asdict() for each in mask] for mask in output.fills]
        return {"fills": fills, "filled": "".join(output.filled for output in answer.outputs)}


def _cells(mask: "list[Fill]") -> "Iterator[str]":
    """Yield the cells of a mask's fills; those that look the same by the names of their tokens."""
    texts = [_shown(each) for each in mask]
    counts = Counter(texts)
    for fill, text in zip(mask, texts, strict=True):
        yield text if counts[text] == 1 else _printable(fill.token)
        yield f"{fill.probability:.4f}"


def _shown(fill: "Fill") -> str:
    """Return a fill's text without spaces around it; its token's name if nothing would be seen."""
    text = fill.text.strip()
    return _printable(text if text and "\ufffd" not in text else fill.token)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
