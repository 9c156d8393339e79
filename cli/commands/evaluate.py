"""`transduce evaluate`: scores of a model on a text."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from transformer.pipelines.arguments.languages import LanguageArguments

from ..io.filter import report
from ..io.outputs import output, terminal_width
from ..options import common as opt
from ..options.evaluation import EvaluationOptions, check_door
from ..options.groups import grouped, option

if TYPE_CHECKING:
    from transformer.loading import LoadedModel


@grouped
def evaluate(
    *,
    model: opt.Models,
    adapter: opt.Adapter = None,
    options: EvaluationOptions,
    languages: LanguageArguments,
    as_json: Annotated[
        bool,
        option(
            "--json",
            "Write one JSON object: each score with its signature, or loss, perplexity and "
            "bits_per_byte; the numbers behind them; versus, with --versus; notices, where "
            "something happened to lines.",
            panel="Output",
        ),
    ] = False,
    device: opt.Device = "auto",
    dtype: opt.Dtype = None,
    quiet: opt.Quiet = False,
) -> None:
    """Measure a model: translations, labels of texts, tags of words, or perplexity.

    Give --pairs, or --source and --reference, --labelled, --tagged, --text or
    --conversations. Without any of them, a run is measured on its own
    validation text. Scores come with signatures, which say what was computed.
    BLEU and chrF need the extra "eval" (sacreBLEU); they are of all lines,
    blank ones too, whose number is told. Of labels there are accuracy, F1,
    Matthews' correlation and calibration, the scores of each label and which
    are taken for which; of numbers, correlations. Of tagged words there are F1,
    precision and recall of spans, as seqeval and conlleval have them, or of each
    tag, and accuracy. --text gives the loss in nats
    a token, perplexity and bits per byte, or the loss of what is masked.
    """
    from ..evaluations import EVALUATIONS, Job, evaluate_own
    from ..io.evaluation_text import check_evaluation_files
    from ..io.loading import check_adapter, load_with_notice

    door = check_door(options, languages)
    check_evaluation_files(options)
    check_adapter(adapter, model)

    told: set[str] = set()

    def load(folder: Path) -> "LoadedModel":
        on_it = adapter if folder is model[0] else None  # --versus may name the same folder
        return load_with_notice(
            folder, device=device, dtype=dtype, quiet=quiet, adapter=on_it, told=told
        )

    job = Job(model, options, languages, load, quiet)
    result = evaluate_own(job) if door is None else EVALUATIONS[door](job)
    failed = result.counts["failed"] == result.record.get("lines")  # all: there is nothing to score
    report(result.counts, quiet=quiet, strict=failed, read=result.read, with_options=False)
    record = json.dumps(result.json_record(), ensure_ascii=False)
    with output(None) as writer:
        for line in [record] if as_json else result.lines(terminal_width()):
            writer.line(line)
