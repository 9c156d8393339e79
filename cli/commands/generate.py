"""`transduce generate`: a prompt in, its continuation out."""

from pathlib import Path
from typing import Annotated

import typer

from .. import options as opt
from ..console import say
from ..streams import output, piped_text

_MAX_TOKENS = 256
_TEMPERATURE = 0.8  # unless another is asked for, or beams


def generate(
    prompt: Annotated[
        str | None, typer.Argument(help="What to continue; piped text joins.")
    ] = None,
    *,
    model: opt.Model,
    prompt_file: Annotated[
        Path | None, typer.Option("-f", "--file", help="A file whose text joins the prompt.")
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option("-n", "--max-tokens", min=1, help="The most tokens to write; 256 if unsaid."),
    ] = None,
    temperature: opt.Temperature = None,
    top_k: opt.TopK = None,
    top_p: opt.TopP = None,
    min_p: opt.MinP = None,
    seed: opt.Seed = 0,
    beam: opt.Beam = 1,
    length_penalty: opt.LengthPenalty = None,
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
    from transformer.decoding import (
        GenerationOptions,
        encode_prompt,
        generate_texts,
        stream_text,
    )

    from ..running import choose_search, load, search_options

    sampling = {"temperature": temperature, "top-k": top_k, "top-p": top_p, "min-p": min_p}
    beams = max(beam, n_best)
    if beams == 1 and temperature is None:
        sampling["temperature"] = _TEMPERATURE
    search = choose_search(sampling, beam=beams)
    text = _text(prompt, prompt_file)
    loaded = load(model, device=device, dtype=dtype, quiet=quiet)
    asked = GenerationOptions(
        search=search,
        options=search_options(
            loaded, sampling, beam=beam, n_best=n_best, length_penalty=length_penalty, seed=seed
        ),
        max_tokens=max_tokens or _MAX_TOKENS,
    )
    room = loaded.config.max_positions - len(encode_prompt(loaded, text))
    if max_tokens is not None and max_tokens > room and not quiet:
        say(f"the model's context leaves room for {room:,} tokens of the {max_tokens:,} asked for")
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


def _text(prompt: str | None, file: Path | None) -> str:
    """The argument, the file's text and what is piped in, each on a line of its own, less the line
    ends that `echo` and editors add."""
    given = None if prompt is None else prompt.encode("utf-8", "surrogateescape")
    read = None if file is None else file.read_bytes()
    parts = [raw.decode("utf-8", "replace") for raw in (given, read) if raw is not None]
    piped = piped_text()
    return "\n".join(part.removesuffix("\n") for part in [*parts, *filter(None, [piped])])
