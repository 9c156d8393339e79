"""The options of decoding, which all commands that write text have."""

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from transformer.decoding import SearchOptions
    from transformer.loading import LoadedModel

_BEAM, _SAMPLE, _RULES = "Beam search", "Sampling", "What may be written"


def option(*names: str, panel: str, help: str, **more: Any) -> Any:  # noqa: A002
    """An option under a heading of the help page."""
    return typer.Option(*names, rich_help_panel=panel, help=help, **more)


@dataclass(kw_only=True)
class DecodingOptions:
    """How to search, and what may be written. None: as the model says, or not at all."""

    beam: Annotated[
        int | None,
        option("--beam", min=1, panel=_BEAM, help="Beams; 1 is greedy."),
    ] = None
    n_best: Annotated[
        int,
        option("--n-best", min=1, panel=_BEAM, help="Answers, best first: of beams, or samples."),
    ] = 1
    length_penalty: Annotated[
        float | None,
        option(
            "--length-penalty",
            panel=_BEAM,
            help="α in log p / length^α; the length counts the end. Default: the model's, or 1.",
        ),
    ] = None
    length_penalty_kind: Annotated[
        str,
        option(
            "--length-penalty-kind",
            panel=_BEAM,
            help="power: length^α; gnmt: ((5 + length) / 6)^α.",
        ),
    ] = "power"
    early_stopping: Annotated[
        str | None,
        option(
            "--early-stopping",
            panel=_BEAM,
            help="yes: once as many texts have ended as there are beams; no: once the best beam, "
            "ended now, would not be better; never: only if it could not become better.",
        ),
    ] = None
    beam_groups: Annotated[
        int, option("--beam-groups", min=1, panel=_BEAM, help="Groups that avoid each other.")
    ] = 1
    diversity: Annotated[
        float | None,
        option("--diversity", min=0.0, panel=_BEAM, help="How much groups do. Default: 0.5."),
    ] = None
    temperature: Annotated[
        float | None,
        option(
            "-t", "--temperature", min=0.0, panel=_SAMPLE, help="0 is greedy, 1 the model's own."
        ),
    ] = None
    top_k: Annotated[
        int | None, option("--top-k", panel=_SAMPLE, help="Among the k likeliest tokens.")
    ] = None
    top_p: Annotated[
        float | None, option("--top-p", panel=_SAMPLE, help="Among the likeliest that sum to p.")
    ] = None
    min_p: Annotated[
        float | None,
        option("--min-p", panel=_SAMPLE, help="Among those p times as likely as the best."),
    ] = None
    typical: Annotated[
        float | None,
        option("--typical", panel=_SAMPLE, help="Among the most typical that sum to p."),
    ] = None
    top_n_sigma: Annotated[
        float | None,
        option("--top-n-sigma", panel=_SAMPLE, help="Among logits n deviations below the best."),
    ] = None
    seed: Annotated[int, option("--seed", panel=_SAMPLE, help="The same seed, the same text.")] = 0
    contrastive: Annotated[
        float | None,
        option(
            "--contrastive",
            min=0.0,
            max=1.0,
            panel=_SAMPLE,
            help="Contrastive search with this α among --top-k tokens (default 4).",
        ),
    ] = None
    mbr: Annotated[
        int | None,
        option(
            "--mbr",
            min=2,
            panel=_SAMPLE,
            help="Of so many samples the one most like the others, by chrF.",
        ),
    ] = None
    max_tokens: Annotated[
        int | None, option("-n", "--max-tokens", min=1, panel=_RULES, help="The most to write.")
    ] = None
    min_tokens: Annotated[
        int, option("--min-tokens", min=0, panel=_RULES, help="The fewest to write.")
    ] = 0
    repetition_penalty: Annotated[
        float | None,
        option(
            "--repetition-penalty", panel=_RULES, help="Above 1: tokens that were there less often."
        ),
    ] = None
    presence_penalty: Annotated[
        float | None,
        option("--presence-penalty", panel=_RULES, help="Less to the logits of written tokens."),
    ] = None
    frequency_penalty: Annotated[
        float | None,
        option("--frequency-penalty", panel=_RULES, help="The same, for each time."),
    ] = None
    no_repeat_ngram: Annotated[
        int | None,
        option("--no-repeat-ngram", min=1, panel=_RULES, help="No n tokens twice in a row."),
    ] = None
    bad_word: Annotated[
        list[str] | None, option("--bad-word", panel=_RULES, help="Never write this. Repeatable.")
    ] = None
    suppress: Annotated[
        list[str] | None,
        option("--suppress", panel=_RULES, help="Never write this token (name). Repeatable."),
    ] = None
    bias: Annotated[
        list[str] | None,
        option("--bias", metavar="TOKEN=NUMBER", panel=_RULES, help="Added to its logit."),
    ] = None
    stop: Annotated[
        list[str] | None,
        option("--stop", panel=_RULES, help="End before this is written. Repeatable."),
    ] = None
    must: Annotated[
        list[str] | None,
        option("--must", panel=_RULES, help="Write this somewhere; beams. Repeatable."),
    ] = None
    regex: Annotated[
        str | None, option("--regex", panel=_RULES, help="All that is written matches this.")
    ] = None
    choice: Annotated[
        list[str] | None,
        option("--choice", panel=_RULES, help="Write one of these. Repeatable."),
    ] = None
    json_schema: Annotated[
        str | None,
        option("--json-schema", panel=_RULES, help="JSON of this schema: a file, or the text."),
    ] = None

    @property
    def sampling(self) -> dict[str, Any]:
        """What asks for sampling, by the processor's name."""
        return _given(self, "temperature", "top_k", "top_p", "min_p", "typical", "top_n_sigma")

    def choose(self, *, usual: int = 1, usual_temperature: float | None = None) -> str:
        """Which search these options mean, by its name in SEARCHES; `usual` beams where nothing
        says otherwise. Raises ConfigError where options contradict each other."""
        from transformer.decoding.logits.processors import LogitsProcessorList
        from transformer.errors import ConfigError

        cold = self.temperature == 0.0  # greedy search, not a processor's value
        values = self.processors
        LogitsProcessorList({k: v for k, v in values.items() if not (cold and k == "temperature")})
        search = self._search(usual=usual, sampled=usual_temperature is not None, cold=cold)
        groups = ["--beam-groups"] if self.beam_groups > 1 else []
        beams_only = _given(self, "early_stopping", "diversity", "must")
        idle = [*groups, *(f"--{name}" for name in beams_only)]
        if idle and search != "beam":
            raise ConfigError(f"{', '.join(idle)}: of beams; the options given mean {search}")
        if self.diversity is not None and self.beam_groups == 1:
            raise ConfigError("--diversity is between groups of beams; it needs --beam-groups")
        return search

    def _search(self, *, usual: int, sampled: bool, cold: bool) -> str:
        from transformer.decoding import deterministic_search
        from transformer.errors import ConfigError

        sampling = self.sampling
        names = ", ".join(f"--{name}" for name in sampling)
        if cold and len(sampling) > 1:
            others = ", ".join(f"--{name}" for name in sampling if name != "temperature")
            raise ConfigError(f"temperature 0 is greedy search, which {others} cannot change")
        if self.contrastive is not None:
            if (self.beam or 1) > 1 or sampling.keys() - {"top-k"} or self.n_best > 1:
                raise ConfigError(
                    "--contrastive takes no --beam, no --n-best and of sampling only --top-k; got "
                    f"{names or '--beam or --n-best'}"
                )
            return "contrastive"
        if sampling and not cold:
            if (self.beam or 1) > 1:
                raise ConfigError(f"{names} sample; --beam above 1 does not")
            return "sample"
        if sampled and self.beam is None and not cold:
            return "sample"
        return deterministic_search(max(self.beam or (1 if cold else usual), self.n_best))

    @property
    def processors(self) -> dict[str, Any]:
        """Values of processors, by name, for those options that need no tokenizer."""
        penalties = ("repetition_penalty", "presence_penalty", "frequency_penalty")
        return self.sampling | _given(self, *penalties, "no_repeat_ngram")

    def options(
        self,
        loaded: "LoadedModel",
        *,
        search: str,
        usual: int,
        temperature: float | None = None,
        keep_all: bool = False,
        continuing: bool = False,
    ) -> "SearchOptions":
        """All that a search is asked: what was given, and for the rest the model's settings."""
        from transformer.decoding.constraints.stop_strings import stop_condition
        from transformer.pipelines.search_settings import search_options, token_values

        tokens = token_values(
            loaded,
            bad_words=self.bad_word or (),
            suppress=self.suppress or (),
            bias=self.bias or (),
        )
        processors = {**self.processors, **tokens}
        if search != "sample":
            for name in self.sampling:
                processors.pop(name, None)
        elif temperature is not None:
            processors.setdefault("temperature", temperature)
        most = min(self.top_k or 4, loaded.config.vocab_size)
        more = {"contrastive_penalty": self.contrastive, "candidates": most}
        beam = max(self.beam or usual, self.n_best) if search == "beam" else 1
        return search_options(
            loaded,
            processors,
            beam=beam,
            n_best=beam if keep_all else self.n_best,
            groups=self.beam_groups,
            diversity=0.5 if self.diversity is None else self.diversity,
            length_penalty=self.length_penalty,
            length_penalty_kind=self.length_penalty_kind,
            early_stopping=self.early_stopping,
            seed=self.seed,
            stop=stop_condition(self.stop, loaded.target_tokenizer, continuing=continuing)
            if self.stop
            else None,
            **(more if search == "contrastive" else {}),
        )

    def with_samples(self) -> "DecodingOptions":
        """The same, with --mbr as so many samples. Raises ConfigError where that contradicts it."""
        from transformer.errors import ConfigError

        if self.mbr is None:
            return self
        if self.n_best > 1 or self.beam is not None or self.temperature == 0.0:
            raise ConfigError(
                "--mbr gives one of several samples; it takes no --n-best, no --beam, and a "
                "temperature above 0"
            )
        temperature = 1.0 if not self.sampling else self.temperature
        return replace(self, n_best=self.mbr, temperature=temperature)


def _given(options: DecodingOptions, *names: str) -> dict[str, Any]:
    known = {field.name for field in fields(options)}
    assert known >= set(names)
    values = {name.replace("_", "-"): getattr(options, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}
