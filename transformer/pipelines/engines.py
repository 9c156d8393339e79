"""Engines of loaded models: what writes, once for each core.

Raises ConfigError for models, searches and drafts that do not go together.
"""

from collections.abc import Callable, Sequence

import torch

from ..decoding import Engine, ModelStepper, SearchOptions
from ..decoding.search import SEARCHES
from ..decoding.steppers import EnsembleStepper
from ..errors import ConfigError
from ..loading import LoadedModel
from .compatibility import check_ensemble
from .speculation import Speculation, speculative_search


def build_engines(
    models: Sequence[LoadedModel],
    search: str,
    options: SearchOptions,
    speculation: Speculation | None = None,
) -> tuple[LoadedModel, list[Engine]]:
    """Build the engines of a model, or of several that decide together, one for each core; return
    them after the model that reads for them.

    Raises ConfigError for models, searches and drafts that do not go together.
    """
    if speculation is not None and search == "contrastive":
        raise ConfigError("contrastive search cannot be guessed for: it takes no --draft, --lookup")
    if speculation is not None and len(models) > 1:
        raise ConfigError("--draft and --lookup guess for one model; several were given")
    lead = check_ensemble(models) if len(models) > 1 else models[0]
    draft = None if speculation is None else speculation.load(lead)

    def build() -> Engine:
        if speculation is not None:
            drafter, ahead = "lookup" if draft is None else "model", speculation.ahead
            speculative = speculative_search(
                options, lead, pick=search, drafter=drafter, draft=draft, ahead=ahead
            )
            return Engine(ModelStepper(lead.model), speculative)
        if len(models) > 1:
            steppers = [ModelStepper(model.model) for model in models]
            return Engine(EnsembleStepper(steppers), SEARCHES[search](options))
        return plain_engine(lead, search, options)

    return lead, one_engine_per_core(lead, build)


def one_engine_per_core(loaded: LoadedModel, build: Callable[[], Engine]) -> list[Engine]:
    """Build an engine for each of the CPU's cores, for two batches on a core each are faster than
    one on both; one on a GPU."""
    count = torch.get_num_threads() if loaded.device.type == "cpu" else 1
    return [build() for _ in range(count)]


def plain_engine(loaded: LoadedModel, search: str, options: SearchOptions) -> Engine:
    """Build the engine of one model and a search by its name in SEARCHES."""
    made = SEARCHES[search](options)
    return Engine(ModelStepper(loaded.model, keep_states=made.reads_states), made)
