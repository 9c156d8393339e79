"""`transduce translate`: lines in, translations out."""

from ..io.filter import filter_lines
from ..options import common as opt
from ..options.groups import grouped
from ..options.speculation import SpeculationOptions
from ..options.translate_options import TranslateDecodingOptions, TranslateOptions


@grouped
def translate(
    files: opt.InputFiles = None,
    *,
    model: opt.Models,
    translation: TranslateOptions,
    decoding: TranslateDecodingOptions,
    speculation: SpeculationOptions,
    line_io: opt.LineIOOptions,
) -> None:
    """Translate lines: one line out (or --n-best lines) for each line in, in order.

    In float32 on a CPU a line's translation does not depend on the lines beside
    it; in bfloat16 and on a GPU, rounding may decide between two translations
    that are almost equally likely.
    """
    from transformer.errors import ConfigError
    from transformer.pipelines import translate as translate_lines
    from transformer.pipelines.engines import build_engines
    from transformer.pipelines.search_settings import default_beam_size

    from ..io.loading import load_for_lines
    from ..io.speculation import report_speculation
    from ..render.answers import AnswerFormatter

    if translation.alignments and translation.split:
        raise ConfigError("alignments are of whole lines; --alignments cannot go with --split")
    n_best = decoding.n_best
    decoding = decoding.with_mbr_samples()
    translation.check(decoding.search_name(default_beams=2))  # mistakes before what takes time
    grammar, glossary = translation.constraints(decoding)
    models = [load_for_lines(path, line_io) for path in model]
    beams = default_beam_size(models[0])
    search = decoding.search_name(default_beams=beams)
    translation.check(search)
    options = translation.translation_options(
        models[0],
        decoding,
        search=search,
        default_beams=beams,
        grammar=grammar,
        glossary=glossary,
    )
    lead, engines = build_engines(models, search, options.options, speculation.speculation())
    show = AnswerFormatter(
        lead,
        n_best=n_best,
        as_json=translation.as_json,
        scores=translation.scores,
        alignments=translation.alignments,
    )
    filter_lines(
        files,
        line_io,
        lambda source, counts: translate_lines(
            lead, source, options, engines=engines, counts=counts
        ),
        show,
    )
    report_speculation(engines, quiet=line_io.quiet)
