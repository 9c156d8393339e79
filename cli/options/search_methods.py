"""The options of beam search and of sampling. None: the model's own setting, or none."""

from dataclasses import dataclass
from functools import partial

from .groups import option_field

beam_option = partial(option_field, panel="Beam search")
sampling_option = partial(option_field, panel="Sampling")


@dataclass(kw_only=True)
class BeamOptions:
    """Options of beam search."""

    beam: int | None = None  # an option of each command, whose default differs
    n_best: int = beam_option(
        1,
        "--n-best N",
        "Answers to each text, best first, from beam search or sampling (up to 1000).",
        min=1,
    )
    length_penalty: float | None = beam_option(
        None,
        "--length-penalty A",
        "Exponent in score = log p / length^A, from -10 to 10: the larger, the longer the "
        "texts that win. Default: the model's own, or 1.",
    )
    length_penalty_kind: str = beam_option(
        "power",
        "--length-penalty-kind NAME",
        "Divisor of log p: length^A (power), or ((5 + length) / 6)^A (gnmt); length is in "
        "tokens, with the end token.",
    )
    early_stopping: str | None = beam_option(
        None,
        "--early-stopping NAME",
        "Stop once as many texts have ended as there are beams (yes), but not while an "
        "open beam could beat the worst of them by ending now (no) or later (never). Default: "
        "the model's own, or no.",
    )
    beam_groups: int = beam_option(
        1,
        "--beam-groups N",
        "Split the beams into N groups of equal size that avoid one another's tokens "
        "(diverse beam search).",
        min=1,
    )
    diversity: float | None = beam_option(
        None,
        "--diversity X",
        "What a token loses in score for each beam of an earlier group that just took it; "
        "needs --beam-groups. Default: 0.5.",
        min=0.0,
    )


@dataclass(kw_only=True)
class SamplingOptions:
    """Options of sampling and of contrastive search."""

    temperature: float | None = None  # likewise
    top_k: int | None = sampling_option(
        None, "--top-k N", "Sample from the N likeliest tokens only (1 or more)."
    )
    top_p: float | None = sampling_option(
        None,
        "--top-p P",
        "Sample from the fewest likeliest tokens whose probabilities sum to P (above 0, "
        "at most 1).",
    )
    min_p: float | None = sampling_option(
        None,
        "--min-p P",
        "Sample from tokens that are at least P times as likely as the likeliest (0 to 1).",
    )
    typical: float | None = sampling_option(
        None,
        "--typical P",
        "Locally typical sampling: from the tokens whose -log p is nearest to the "
        "entropy, up to a total probability of P (above 0, at most 1).",
    )
    top_n_sigma: float | None = sampling_option(
        None,
        "--top-n-sigma X",
        "Sample from tokens whose logits are within X standard deviations of the largest "
        "(above 0).",
    )
    seed: int = sampling_option(
        0, "--seed N", "Seed of sampling: the same seed and input give the same text."
    )
    contrastive: float | None = sampling_option(
        None,
        "--contrastive X",
        "Contrastive search: of the --top-k (default 4) likeliest tokens, take one unlike "
        "the tokens before it; X is how much that counts.",
        min=0.0,
        max=1.0,
    )
    mbr: int | None = sampling_option(
        None,
        "--mbr N",
        "Draw N samples (up to 1000) and answer with the one most like the others, by "
        "chrF. Temperature 1, if no sampling option is given.",
        min=2,
    )
