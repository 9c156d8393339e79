"""What commands that run a model have in common: loading it, and choosing a search."""

from collections.abc import Mapping
from pathlib import Path

from transformer.config import ConfigError
from transformer.decoding import SearchOptions
from transformer.decoding.processors import chain
from transformer.loading import LoadedModel, load_model
from transformer.tables import Table

from .console import is_terminal, say


def load(model: Path, *, device: str, dtype: str, quiet: bool) -> LoadedModel:
    """Load a model folder, saying so at a terminal, for it takes a while."""
    import torch

    if is_terminal() and not quiet:
        say(f"loading {model}")
    dtypes = Table("dtype", {"float32": torch.float32, "bfloat16": torch.bfloat16})
    return load_model(model, device=device, dtype=dtypes[dtype])


def choose_search(sampling: Mapping[str, float | None], *, beam: int) -> str:
    """Sampling if any of its options is given (temperature 0: greedy), else beam, else greedy.

    Raises ConfigError where a sampling option and beams contradict each other.
    """
    given = [name for name, value in sampling.items() if value is not None]
    if sampling["temperature"] == 0.0:
        return "beam" if beam > 1 else "greedy"
    if not given:
        return "beam" if beam > 1 else "greedy"
    try:
        chain(sampling)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    return "sample"


def search_options(
    loaded: LoadedModel,
    sampling: Mapping[str, float | None],
    *,
    beam: int,
    n_best: int,
    length_penalty: float,
    seed: int,
) -> SearchOptions:
    """The options of a search, the model's end token among them."""
    return SearchOptions(
        end=frozenset({loaded.generation.eos_token_id}),
        beam=beam,
        n_best=n_best,
        length_penalty=length_penalty,
        processors={} if sampling["temperature"] == 0.0 else sampling,
        seed=seed,
    )
