"""The options of beam search and of sampling. None: the model's own setting, or none."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from .groups import option

beam_option = partial(option, panel="Beam search")
sampling_option = partial(option, panel="Sampling")


@dataclass(kw_only=True)
class BeamOptions:
    """Options of beam search."""

    beam: int | None = None  # an option of each command, whose default differs
    n_best: Annotated[
        int,
        beam_option(
            "--n-best N",
            "Answers to each text, best first, from beam search or sampling (up to 1000).",
            min=1,
        ),
    ] = 1
    length_penalty: Annotated[
        float | None,
        beam_option(
            "--length-penalty A",
            "Exponent in score = log p / length^A, from -10 to 10: the larger, the longer the "
            "texts that win. Default: the model's own, or 1.",
        ),
    ] = None
    length_penalty_kind: Annotated[
        str,
        beam_option(
            "--length-penalty-kind NAME",
            "Divisor of log p: length^A (power), or ((5 + length) / 6)^A (gnmt); length is in "
            "tokens, with the end token.",
        ),
    ] = "power"
    early_stopping: Annotated[
        str | None,
        beam_option(
            "--early-stopping NAME",
            "Stop once as many texts have ended as there are beams (yes), but not while an "
            "open beam could beat the worst of them by ending now (no) or later (never). Default: "
            "the model's own, or no.",
        ),
    ] = None
    beam_groups: Annotated[
        int,
        beam_option(
            "--beam-groups N",
            "Split the beams into N groups of equal size that avoid one another's tokens "
            "(diverse beam search).",
            min=1,
        ),
    ] = 1
    diversity: Annotated[
        float | None,
        beam_option(
            "--diversity X",
            "What a token loses in score for each beam of an earlier group that just took it; "
            "needs --beam-groups. Default: 0.5.",
            min=0.0,
        ),
    ] = None


@dataclass(kw_only=True)
class SamplingOptions:
    """Options of sampling and of contrastive search."""

    temperature: float | None = None  # likewise
    top_k: Annotated[
        int | None,
        sampling_option("--top-k N", "Sample from the N likeliest tokens only (1 or more)."),
    ] = None
    top_p: Annotated[
        float | None,
        sampling_option(
            "--top-p P",
            "Sample from the fewest likeliest tokens whose probabilities sum to P (above 0, "
            "at most 1).",
        ),
    ] = None
    min_p: Annotated[
        float | None,
        sampling_option(
            "--min-p P",
            "Sample from tokens that are at least P times as likely as the likeliest (0 to 1).",
        ),
    ] = None
    typical: Annotated[
        float | None,
        sampling_option(
            "--typical P",
            "Locally typical sampling: from the tokens whose -log p is nearest to the "
            "entropy, up to a total probability of P (above 0, at most 1).",
        ),
    ] = None
    top_n_sigma: Annotated[
        float | None,
        sampling_option(
            "--top-n-sigma X",
            "Sample from tokens whose logits are within X standard deviations of the largest "
            "(above 0).",
        ),
    ] = None
    seed: Annotated[
        int,
        sampling_option(
            "--seed N", "Seed of sampling: the same seed and input give the same text."
        ),
    ] = 0
    contrastive: Annotated[
        float | None,
        sampling_option(
            "--contrastive X",
            "Contrastive search: of the --top-k (default 4) likeliest tokens, take one unlike "
            "the tokens before it; X is how much that counts.",
            min=0.0,
            max=1.0,
        ),
    ] = None
    mbr: Annotated[
        int | None,
        sampling_option(
            "--mbr N",
            "Draw N samples (up to 1000) and answer with the one most like the others, by "
            "chrF. Temperature 1, if no sampling option is given.",
            min=2,
        ),
    ] = None
