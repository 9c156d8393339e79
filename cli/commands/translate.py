"""`transduce translate`: lines in, translations out."""

from collections import Counter
from typing import Annotated

import typer

from .. import options as opt
from ..streams import input_lines, output, report


def translate(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]...", help="Default: stdin.")
    ] = None,
    *,
    model: opt.Model,
    beam: opt.MaybeBeam = None,
    source_language: opt.SourceLanguage = None,
    target_language: opt.TargetLanguage = None,
    length_penalty: opt.LengthPenalty = None,
    n_best: opt.NBest = 1,
    scores: Annotated[
        bool, typer.Option("--scores", help="Put each answer's score and a tab before it.")
    ] = False,
    temperature: opt.Temperature = None,
    top_k: opt.TopK = None,
    top_p: opt.TopP = None,
    min_p: opt.MinP = None,
    seed: opt.Seed = 0,
    max_tokens: Annotated[
        int | None, typer.Option("-n", "--max-tokens", min=1, help="The most tokens of an answer.")
    ] = None,
    batch_tokens: opt.BatchTokens = 4096,
    column: opt.Column = None,
    device: opt.Device = "auto",
    dtype: opt.Dtype = "float32",
    out: opt.Output = None,
    quiet: opt.Quiet = False,
) -> None:
    """Translate each line. n lines in, n lines out (n-best: n times as many), in order."""
    from tokenizer import Counts
    from transformer.decoding import TranslationOptions, translate_lines

    from ..running import choose_search, load, search_options, usual_beams

    sampling = {"temperature": temperature, "top-k": top_k, "top-p": top_p, "min-p": min_p}
    choose_search(sampling, beam=max(beam or 1, n_best))  # mistakes first, then what takes time
    loaded = load(model, device=device, dtype=dtype, quiet=quiet)
    sampled = any(value is not None for value in sampling.values())
    beams = max(beam or (1 if sampled else usual_beams(loaded)), n_best)
    search = choose_search(sampling, beam=beams)
    asked = TranslationOptions(
        search=search,
        options=search_options(
            loaded, sampling, beam=beams, n_best=n_best, length_penalty=length_penalty, seed=seed
        ),
        batch_tokens=batch_tokens,
        max_tokens=max_tokens,
        source_language=source_language,
        target_language=target_language,
    )
    read, counts = Counts(), Counter[str]()
    with output(out, reading=files) as writer:
        for answer in translate_lines(
            loaded, input_lines(files, read, column), asked, counts=counts
        ):
            for place in range(n_best):
                text = answer.texts[place] if place < len(answer.texts) else ""
                score = answer.hypotheses[place].score if place < len(answer.hypotheses) else 0.0
                writer.line(f"{score:.4f}\t{text}" if scores else text)
    report(read, quiet=quiet, shortened=counts["shortened"], unfinished=counts["unfinished"])
