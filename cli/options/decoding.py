"""The options of decoding, for all commands that write text."""

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

from .search_methods import BeamOptions, SamplingOptions
from .text_constraints import TextConstraintOptions

if TYPE_CHECKING:
    from transformer.decoding import SearchOptions
    from transformer.loading import LoadedModel


@dataclass(kw_only=True)
class DecodingOptions(TextConstraintOptions, SamplingOptions, BeamOptions):
    """Options of searches and of what may be written. A command adds its defaults' help texts."""

    @property
    def sampling(self) -> dict[str, Any]:
        """The values that ask for sampling, by the processor's name."""
        return _set_values(self, "temperature", "top_k", "top_p", "min_p", "typical", "top_n_sigma")

    def search_name(
        self, *, default_beams: int = 1, default_temperature: float | None = None
    ) -> str:
        """Return the name in SEARCHES of the search that these options ask for.

        Where they ask for none it is sampling, if there is a default temperature, or has
        `default_beams`. Raises ConfigError for options that contradict each other.
        """
        from transformer.decoding.logits.processors import LogitsProcessorList
        from transformer.errors import ConfigError

        greedy = self.temperature == 0.0  # a request for greedy search, not a processor's value
        values = self.processors
        if greedy:
            del values["temperature"]
        LogitsProcessorList(values)  # raises ConfigError for values out of range
        search = self._search_name(
            default_beams, samples_by_default=default_temperature is not None, greedy=greedy
        )
        groups = ["--beam-groups"] if self.beam_groups > 1 else []
        others = _set_values(self, "early_stopping", "diversity", "must")
        beams_only = [*groups, *(f"--{name}" for name in others)]
        if beams_only and search != "beam":
            raise ConfigError(
                f"{', '.join(beams_only)}: only for beam search (--beam 2 or more); the search "
                f"that the options ask for is {search!r}"
            )
        if self.diversity is not None and self.beam_groups == 1:
            raise ConfigError("--diversity needs two or more groups of beams (--beam-groups)")
        return search

    def _search_name(self, default_beams: int, *, samples_by_default: bool, greedy: bool) -> str:
        from transformer.decoding import deterministic_search
        from transformer.errors import ConfigError

        sampling = self.sampling
        names = ", ".join(f"--{name}" for name in sampling)
        if greedy and len(sampling) > 1:
            others = ", ".join(f"--{name}" for name in sampling if name != "temperature")
            raise ConfigError(f"--temperature 0 is greedy search, in which {others} has no effect")
        if self.contrastive is not None:
            if (self.beam or 1) > 1 or sampling.keys() - {"top-k"} or self.n_best > 1:
                raise ConfigError(
                    "--contrastive goes with --top-k, but not with --beam, --n-best or other "
                    f"sampling options; got {names or '--beam or --n-best'}"
                )
            return "contrastive"
        if sampling and not greedy:
            if (self.beam or 1) > 1:
                raise ConfigError(f"{names}: for sampling; cannot go with --beam above 1")
            return "sample"
        if samples_by_default and self.beam is None and not greedy:
            return "sample"
        beams = self.beam or (1 if greedy else default_beams)
        return deterministic_search(max(beams, self.n_best))

    @property
    def processors(self) -> dict[str, Any]:
        """The values of the processors that need no tokenizer, by name."""
        penalties = ("repetition_penalty", "presence_penalty", "frequency_penalty")
        return self.sampling | _set_values(self, *penalties, "no_repeat_ngram")

    def search_options(
        self,
        loaded: "LoadedModel",
        *,
        search: str,
        default_beams: int,
        temperature: float | None = None,
        keep_all: bool = False,
        continuing: bool = False,
    ) -> "SearchOptions":
        """Return the options of a search: these, and for the rest the model's own settings.

        `temperature` is that of sampling where none is given. With `keep_all` the search returns
        all beams, and with `continuing` the text follows its prompt's.
        """
        from transformer.decoding.constraints.stop_strings import stop_condition
        from transformer.pipelines.search_settings import search_options, token_processors

        tokens = token_processors(
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
        candidates = min(self.top_k or 4, loaded.config.vocab_size)
        contrastive = {"contrastive_penalty": self.contrastive, "candidates": candidates}
        beam = max(self.beam or default_beams, self.n_best) if search == "beam" else 1
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
            **(contrastive if search == "contrastive" else {}),
        )

    def with_mbr_samples(self) -> Self:
        """Return these options with as many answers as --mbr needs samples.

        Raises ConfigError for options that contradict --mbr.
        """
        from transformer.errors import ConfigError

        if self.mbr is None:
            return self
        if self.n_best > 1 or self.beam is not None or self.temperature == 0.0:
            raise ConfigError(
                "--mbr answers with one of several samples: it takes no --n-best, no --beam and "
                "no temperature of 0"
            )
        temperature = 1.0 if not self.sampling else self.temperature
        return replace(self, n_best=self.mbr, temperature=temperature)


def _set_values(options: DecodingOptions, *names: str) -> dict[str, Any]:
    """Return the values of those options that are given, by their names on the command line."""
    known = {field.name for field in fields(options)}
    assert known >= set(names)
    values = {name.replace("_", "-"): getattr(options, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}
