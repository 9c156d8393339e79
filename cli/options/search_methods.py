"""The options of beam search and of sampling. None: the model's own setting, or none."""

from dataclasses import dataclass
from typing import Annotated

from .groups import option

_BEAM, _SAMPLING = "Beam search", "Sampling"


def beam_option(text: str) -> object:
    """Return --beam, whose default is the command's to say."""
    return option("--beam", min=1, metavar="N", panel=_BEAM, help=text)


def temperature_option(text: str) -> object:
    """Return --temperature, whose default is the command's to say."""
    return option("-t", "--temperature", min=0.0, metavar="X", panel=_SAMPLING, help=text)


@dataclass(kw_only=True)
class BeamOptions:
    """Options of beam search."""

    beam: int | None = None
    n_best: Annotated[
        int,
        option(
            "--n-best",
            min=1,
            metavar="N",
            panel=_BEAM,
            help="Answers to each text, best first, from beam search or sampling (up to 1000).",
        ),
    ] = 1
    length_penalty: Annotated[
        float | None,
        option(
            "--length-penalty",
            metavar="A",
            panel=_BEAM,
            help="Exponent in score = log p / length^A, from -10 to 10: the larger, the longer the "
            "texts that win. Default: the model's own, or 1.",
        ),
    ] = None
    length_penalty_kind: Annotated[
        str,
        option(
            "--length-penalty-kind",
            metavar="NAME",
            panel=_BEAM,
            help="Divisor of log p: length^A (power), or ((5 + length) / 6)^A (gnmt); length is in "
            "tokens, with the end token.",
        ),
    ] = "power"
    early_stopping: Annotated[
        str | None,
        option(
            "--early-stopping",
            metavar="NAME",
            panel=_BEAM,
            help="Stop once as many texts have ended as there are beams (yes), but not while an "
            "open beam could beat the worst of them by ending now (no) or later (never). Default: "
            "the model's own, or no.",
        ),
    ] = None
    beam_groups: Annotated[
        int,
        option(
            "--beam-groups",
            min=1,
            metavar="N",
            panel=_BEAM,
            help="Split the beams into N groups of equal size that avoid one another's tokens "
            "(diverse beam search).",
        ),
    ] = 1
    diversity: Annotated[
        float | None,
        option(
            "--diversity",
            min=0.0,
            metavar="X",
            panel=_BEAM,
            help="What a token loses in score for each beam of an earlier group that just took it; "
            "needs --beam-groups. Default: 0.5.",
        ),
    ] = None


@dataclass(kw_only=True)
class SamplingOptions:
    """Options of sampling and of contrastive search."""

    temperature: float | None = None
    top_k: Annotated[
        int | None,
        option(
            "--top-k",
            metavar="N",
            panel=_SAMPLING,
            help="Sample from the N likeliest tokens only (1 or more).",
        ),
    ] = None
    top_p: Annotated[
        float | None,
        option(
            "--top-p",
            metavar="P",
            panel=_SAMPLING,
            help="Sample from the fewest likeliest tokens whose probabilities sum to P (above 0, "
            "at most 1).",
        ),
    ] = None
    min_p: Annotated[
        float | None,
        option(
            "--min-p",
            metavar="P",
            panel=_SAMPLING,
            help="Sample from tokens that are at least P times as likely as the likeliest (0 to "
            "1).",
        ),
    ] = None
    typical: Annotated[
        float | None,
        option(
            "--typical",
            metavar="P",
            panel=_SAMPLING,
            help="Locally typical sampling: from the tokens whose -log p is nearest to the "
            "entropy, up to a total probability of P (above 0, at most 1).",
        ),
    ] = None
    top_n_sigma: Annotated[
        float | None,
        option(
            "--top-n-sigma",
            metavar="X",
            panel=_SAMPLING,
            help="Sample from tokens whose logits are within X standard deviations of the largest "
            "(above 0).",
        ),
    ] = None
    seed: Annotated[
        int,
        option(
            "--seed",
            metavar="N",
            panel=_SAMPLING,
            help="Seed of sampling: the same seed and input give the same text.",
        ),
    ] = 0
    contrastive: Annotated[
        float | None,
        option(
            "--contrastive",
            min=0.0,
            max=1.0,
            metavar="X",
            panel=_SAMPLING,
            help="Contrastive search: of the --top-k (default 4) likeliest tokens, take one unlike "
            "the tokens before it; X is how much that counts.",
        ),
    ] = None
    mbr: Annotated[
        int | None,
        option(
            "--mbr",
            min=2,
            metavar="N",
            panel=_SAMPLING,
            help="Draw N samples (up to 1000) and answer with the one most like the others, by "
            "chrF. Temperature 1, if no sampling option is given.",
        ),
    ] = None
