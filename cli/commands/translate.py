"""`transduce translate`: lines in, translations out."""

from transformer.pipelines.arguments import SpeculationArguments, TranslateArguments

from ..io.filter import filter_lines
from ..io.output_checks import output_is_terminal
from ..io.text_arguments import named_inputs
from ..options import common as opt
from ..options.answers import TranslationOutputOptions
from ..options.groups import grouped


@grouped
def translate(
    files: opt.InputFiles = None,
    *,
    model: opt.Models,
    adapter: opt.Adapter = None,
    arguments: TranslateArguments,
    shown: TranslationOutputOptions,
    speculation: SpeculationArguments,
    line_io: opt.LineIOOptions,
) -> None:
    """Translate lines: one line out (or --n-best lines) for each line in, in order.

    On a CPU in float32 and float16, and in int8 for lines of up to 100 tokens,
    a line's translation does not depend on the lines beside it; in bfloat16 and
    on a GPU, rounding may decide between two translations that are almost
    equally likely.
    """
    from transformer.errors import ConfigError

    from ..io.line_reader import LineReader
    from ..io.loading import open_session
    from ..render.answers import AnswerFormatter

    if shown.alignments and arguments.split:
        raise ConfigError("alignments are of whole lines; --alignments cannot go with --split")
    reader = LineReader.from_options(named_inputs(files), line_io)
    session = open_session(model, line_io, speculation, arguments, reading=reader, adapter=adapter)
    show = AnswerFormatter(
        session.lead,
        n_best=arguments.n_best,
        as_json=shown.as_json,
        scores=shown.scores,
        alignments=shown.alignments,
        separate_groups=output_is_terminal(line_io.out),
    )
    filter_lines(
        reader, line_io, lambda source, counts: session.translate(source, arguments, counts), show
    )
