"""Arguments of searches, and the search that they ask for."""

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from ...errors import ConfigError
from .argument import argument, check_values, flags_with_values
from .names import EARLY_STOPPING_NAMES, LENGTH_PENALTY_NAMES
from .text import TextArguments

beam_argument = partial(argument, panel="Beam search")
sampling_argument = partial(argument, panel="Sampling")

MAX_SEED = 2**64 - 1  # a larger one would be another's alias
SEED = "Seed of sampling (0 to 2^64 - 1): the same seed and input give the same text."

# Processors that sampling asks for, and others that need no tokenizer; by name in PROCESSORS when
# underscores become hyphens.
_SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical", "top_n_sigma")
_PENALTIES = (
    "repetition_penalty", "presence_penalty", "frequency_penalty", "no_repeat_ngram",
)  # fmt: skip
_WITHOUT_SEED = ("beam", "contrastive")  # greedy search is sampling with a temperature of 0
_BEAMS_ONLY = ("early_stopping", "diversity", "must")


@dataclass(frozen=True, kw_only=True)
class BeamArguments:
    """Arguments of beam search. None: the model's own setting, or the default."""

    beam: int | None  # each command's own, for the default differs
    n_best: int = beam_argument(
        1,
        "--n-best N",
        "Answers to each text, best first, from beam search or sampling (up to 1000).",
        min=1,
        max=1000,
    )
    length_penalty: float | None = beam_argument(
        None,
        "--length-penalty A",
        "Exponent in score = log p / length^A, from -10 to 10: the larger, the longer the "
        "texts that win. Default: the model's own, or 1.",
        min=-10.0,
        max=10.0,
    )
    length_penalty_kind: str = beam_argument(
        "power",
        "--length-penalty-kind NAME",
        "Divisor of log p: length^A (power), or ((5 + length) / 6)^A (gnmt); length is in "
        "tokens, with the end token.",
        choices=LENGTH_PENALTY_NAMES,
    )
    early_stopping: str | None = beam_argument(
        None,
        "--early-stopping NAME",
        "Stop once as many texts have ended as there are beams (yes), but not while an "
        "open beam could beat the worst of them by ending now (no) or later (never). Default: "
        "the model's own, or no.",
        choices=EARLY_STOPPING_NAMES,
    )
    beam_groups: int = beam_argument(
        1,
        "--beam-groups N",
        "Split the beams into N groups of equal size that avoid one another's tokens "
        "(diverse beam search).",
        min=1,
    )
    diversity: float | None = beam_argument(
        None,
        "--diversity X",
        "What a token loses in score for each beam of an earlier group that just took it; "
        "needs --beam-groups. Default: 0.5.",
        min=0.0,
        max=1e6,
    )


@dataclass(frozen=True, kw_only=True)
class SamplingArguments:
    """Arguments of sampling and of contrastive search."""

    temperature: float | None  # likewise
    top_k: int | None = sampling_argument(
        None, "--top-k N", "Sample from the N likeliest tokens only (1 or more)."
    )
    top_p: float | None = sampling_argument(
        None,
        "--top-p P",
        "Sample from the fewest likeliest tokens whose probabilities sum to P (above 0, "
        "at most 1).",
    )
    min_p: float | None = sampling_argument(
        None,
        "--min-p P",
        "Sample from tokens that are at least P times as likely as the likeliest (0 to 1).",
    )
    typical: float | None = sampling_argument(
        None,
        "--typical P",
        "Locally typical sampling: from the tokens whose -log p is nearest to the "
        "entropy, up to a total probability of P (above 0, at most 1).",
    )
    top_n_sigma: float | None = sampling_argument(
        None,
        "--top-n-sigma X",
        "Sample from tokens whose logits are within X standard deviations of the largest "
        "(above 0).",
    )
    seed: int | None  # likewise
    contrastive: float | None = sampling_argument(
        None,
        "--contrastive X",
        "Contrastive search: of the --top-k (default 4) likeliest tokens, take one unlike "
        "the tokens before it; X is how much that counts.",
        min=0.0,
        max=1.0,
    )
    mbr: int | None = sampling_argument(
        None,
        "--mbr N",
        "Draw N samples (up to 1000) and answer with the one most like the others, by "
        "chrF. Temperature 1, if no sampling option is given.",
        min=2,
        max=1000,
    )


@dataclass(frozen=True, kw_only=True)
class SearchArguments(TextArguments, SamplingArguments, BeamArguments):
    """Arguments of all searches."""

    default_search: ClassVar[str | None] = None  # where none is asked for; None: the model decides

    def __post_init__(self) -> None:
        """Raise ConfigError for arguments that contradict each other or would have no effect."""
        from ...decoding.logits.processors import LogitsProcessorList

        check_values(self)
        try:
            LogitsProcessorList(self.processors)  # raises ConfigError for values out of range
        except ConfigError as error:  # processors have the names of their options
            raise ConfigError(f"--{error}") from None
        self._check_conflicts()
        if self.max_tokens is not None and self.min_tokens > self.max_tokens:
            raise ConfigError(
                f"--min-tokens {self.min_tokens} is more than --max-tokens {self.max_tokens}"
            )
        search = self.requested_search or self.default_search
        if search is not None:
            self.check_search(search)
        if self.diversity is not None and self.beam_groups == 1:
            raise ConfigError("--diversity needs two or more groups of beams (--beam-groups)")
        self.grammar  # noqa: B018 (raises what is wrong with it)

    @property
    def is_greedy(self) -> bool:
        """True if a temperature of 0 asks for greedy search."""
        return self.temperature == 0.0

    @property
    def sampling(self) -> dict[str, Any]:
        """The values that ask for sampling, by the processor's name."""
        values = _processor_values(self, _SAMPLING)
        if self.is_greedy:
            del values["temperature"]
        elif self.mbr is not None:
            values = values or {"temperature": 1.0}
        return values

    @property
    def processors(self) -> dict[str, Any]:
        """The values of the processors that need no tokenizer, by name."""
        return self.sampling | _processor_values(self, _PENALTIES)

    @property
    def num_hypotheses(self) -> int:
        """The number of texts that a search must find: --n-best, or the samples of --mbr."""
        return self.n_best if self.mbr is None else self.mbr

    @property
    def requested_search(self) -> str | None:
        """The name in SEARCHES of the search that is asked for; None: the default one."""
        if self.contrastive is not None:
            return "contrastive"
        if self.sampling:
            return "sample"
        if self.beam is None and not self.is_greedy:
            return None
        return beam_or_greedy(max(self.beam or 1, self.num_hypotheses))

    def _check_conflicts(self) -> None:
        sampling = flags_with_values(self, *_SAMPLING)
        names, beams = ", ".join(sampling), self.beam or 1
        if self.is_greedy and len(sampling) > 1:
            others = ", ".join(name for name in sampling if name != "--temperature")
            raise ConfigError(f"--temperature 0 is greedy search, in which {others} has no effect")
        if self.mbr is not None and (self.n_best > 1 or self.beam is not None or self.is_greedy):
            raise ConfigError(
                "--mbr answers with one of several samples: it takes no --n-best, no --beam and "
                "no temperature of 0"
            )
        if self.contrastive is not None:
            if beams > 1 or sampling.keys() - {"--top-k"} or self.num_hypotheses > 1:
                raise ConfigError(
                    "--contrastive goes with --top-k, but not with --beam, --n-best or other "
                    f"sampling options; got {names or '--beam or --n-best'}"
                )
        elif self.beam is not None and self.beam < self.num_hypotheses and not self.sampling:
            few = "is greedy search, which has one answer"
            few = few if self.beam == 1 else f"has {self.beam} answers at most"
            raise ConfigError(
                f"--beam {self.beam} {few}; --n-best {self.n_best} needs --beam {self.n_best} or "
                "more, or sampling (--temperature)"
            )
        elif self.sampling and beams > 1:
            raise ConfigError(f"{names}: for sampling; cannot go with --beam above 1")

    def check_search(self, search: str) -> None:
        """Raise ConfigError for arguments that this search would not obey."""
        if self.seed and search in _WITHOUT_SEED:
            raise ConfigError(
                "--seed is of sampling (--temperature, --top-p and others); the search that the "
                f"options ask for is {search!r}, which draws nothing"
            )
        groups = ["--beam-groups"] if self.beam_groups > 1 else []
        beams_only = [*groups, *flags_with_values(self, *_BEAMS_ONLY)]
        if beams_only and search != "beam":
            raise ConfigError(
                f"{', '.join(beams_only)}: only for beam search (--beam 2 or more); the search "
                f"that the options ask for is {search!r}"
            )


def beam_or_greedy(beams: int) -> str:
    """Return the name in SEARCHES of the deterministic search with this many beams."""
    return "beam" if beams > 1 else "greedy"


def _processor_values(arguments: SearchArguments, fields: tuple[str, ...]) -> dict[str, Any]:
    """Return the values that are not None, by the processor's name."""
    values = {name.replace("_", "-"): getattr(arguments, name) for name in fields}
    return {name: value for name, value in values.items() if value is not None}
