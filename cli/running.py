"""What commands that run a model have in common: loading it, and choosing a search."""

from collections.abc import Mapping
from pathlib import Path

from transformer.config import ConfigError
from transformer.decoding import SearchOptions, deterministic_search
from transformer.decoding.processors import Chain, model_processors
from transformer.loading import LoadedModel, load_model
from transformer.tables import Table

from .console import is_terminal, say

_BEAMS = 5


def load(model: Path, *, device: str, dtype: str, quiet: bool) -> LoadedModel:
    """Load a model folder, saying so at a terminal, for it takes a while."""
    import torch

    if is_terminal() and not quiet:
        say(f"loading {model}")
    dtypes = Table("dtype", {"float32": torch.float32, "bfloat16": torch.bfloat16})
    return load_model(model, device=device, dtype=dtypes[dtype])


def choose_search(sampling: Mapping[str, float | None], *, beam: int) -> str:
    """Sampling if any of its options is given, else beam, else greedy.

    Raises ConfigError where options contradict each other, rather than ignore one in silence.
    """
    try:
        cold = sampling["temperature"] == 0.0  # greedy search, not a processor's value
        Chain({**sampling, "temperature": None} if cold else sampling)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    given = [f"--{name}" for name, value in sampling.items() if value is not None]
    if cold and len(given) > 1:
        others = ", ".join(name for name in given if name != "--temperature")
        raise ConfigError(f"temperature 0 is greedy search, which {others} cannot change")
    if not given or cold:
        return deterministic_search(beam)
    if beam > 1:
        raise ConfigError(f"{', '.join(given)} sample; --beam and --n-best above 1 do not")
    return "sample"


def usual_beams(loaded: LoadedModel) -> int:
    """How many beams a model is to be decoded with where nobody says."""
    return loaded.generation.num_beams or _BEAMS


def search_options(
    loaded: LoadedModel,
    sampling: Mapping[str, float | None] | None = None,
    *,
    beam: int,
    n_best: int = 1,
    length_penalty: float | None = None,
    seed: int = 0,
) -> SearchOptions:
    """The options of a search: those given, and for the rest the model's own settings."""
    own, sampling = loaded.generation, sampling or {}
    usual = 1.0 if own.length_penalty is None else own.length_penalty
    cold = sampling.get("temperature") == 0.0
    return SearchOptions(
        end=frozenset(own.end_ids),
        beam=beam,
        n_best=n_best,
        length_penalty=usual if length_penalty is None else length_penalty,
        early_stopping=own.early_stopping or False,
        processors={**model_processors(own), **({} if cold else sampling)},
        seed=seed,
    )
