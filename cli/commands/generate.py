"""`transduce generate`: a prompt in, its continuation out."""

from typing import Annotated

import typer

from .. import options as opt
from ..streams import output, piped_text

_TEMPERATURE = 0.8  # unless another is asked for, or beams


def generate(
    prompt: Annotated[
        str | None, typer.Argument(help="What to continue; piped text joins.")
    ] = None,
    *,
    model: opt.Model,
    max_tokens: Annotated[
        int, typer.Option("-n", "--max-tokens", min=1, help="The most tokens to write.")
    ] = 256,
    temperature: opt.Temperature = None,
    top_k: opt.TopK = None,
    top_p: opt.TopP = None,
    min_p: opt.MinP = None,
    seed: opt.Seed = 0,
    beam: opt.Beam = 1,
    length_penalty: opt.LengthPenalty = 1.0,
    n_best: opt.NBest = 1,
    no_prompt: Annotated[
        bool, typer.Option("--no-prompt", help="Show the continuation alone.")
    ] = False,
    device: opt.Device = "auto",
    dtype: opt.Dtype = "float32",
    out: opt.Output = None,
    quiet: opt.Quiet = False,
) -> None:
    """Continue a prompt, shown as it is written: sampled at temperature 0.8 unless you say."""
    from transformer.decoding import GenerationOptions, generate_texts, stream_text

    from ..running import choose_search, load, search_options

    sampling = {"temperature": temperature, "top-k": top_k, "top-p": top_p, "min-p": min_p}
    beams = max(beam, n_best)
    if beams == 1 and temperature is None:
        sampling["temperature"] = _TEMPERATURE
    search = choose_search(sampling, beam=beams)
    text = _text(prompt)
    loaded = load(model, device=device, dtype=dtype, quiet=quiet)
    asked = GenerationOptions(
        search=search,
        options=search_options(
            loaded, sampling, beam=beam, n_best=n_best, length_penalty=length_penalty, seed=seed
        ),
        max_tokens=max_tokens,
    )
    shown = "" if no_prompt else text
    with output(out) as writer:
        if search == "beam":
            for continuation, _ in generate_texts(loaded, text, asked):
                writer.line(f"{shown}{continuation}")
            return
        pieces = stream_text(loaded, text, asked)
        first = next(pieces, "")  # errors come before anything is shown
        writer.piece(f"{shown}{first}")
        for piece in pieces:
            writer.piece(piece)
        writer.line("")


def _text(prompt: str | None) -> str:
    """The argument, then piped text on a line of its own, less the line end that `echo` adds."""
    piped = piped_text().removesuffix("\n")
    if prompt is None:
        return piped
    given = prompt.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return f"{given}\n{piped}" if piped else given
