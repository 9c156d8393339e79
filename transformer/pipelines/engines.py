"""Engines for loaded models: one for each CPU core."""

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
    """Build an engine for each core, for one model or an ensemble.

    Returns the model whose tokenizer and limits apply (of an ensemble, the one with the shortest
    context), and the engines. Raises ConfigError for models, searches and drafts that cannot be
    combined.
    """
    if speculation is not None and search == "contrastive":
        raise ConfigError(
            "contrastive search cannot decode speculatively: it takes no --draft, --lookup"
        )
    if speculation is not None and len(models) > 1:
        raise ConfigError("--draft and --lookup work with one model; several were given")
    lead = check_ensemble(models) if len(models) > 1 else models[0]
    draft = None if speculation is None else speculation.load(lead)

    def build() -> Engine:
        if speculation is not None:
            drafter, draft_tokens = "lookup" if draft is None else "model", speculation.draft_tokens
            speculative = speculative_search(
                options,
                lead,
                selector=search,
                drafter=drafter,
                draft=draft,
                draft_tokens=draft_tokens,
            )
            return Engine(ModelStepper(lead.model), speculative)
        if len(models) > 1:
            steppers = [ModelStepper(model.model) for model in models]
            return Engine(EnsembleStepper(steppers), SEARCHES[search](options))
        return plain_engine(lead, search, options)

    return lead, one_engine_per_core(lead, build)


def one_engine_per_core(loaded: LoadedModel, build: Callable[[], Engine]) -> list[Engine]:
    """Build an engine for each of the CPU's cores; a single one on a GPU.

    Two batches with a core each are faster than one batch on both.
    """
    count = torch.get_num_threads() if loaded.device.type == "cpu" else 1
    return [build() for _ in range(count)]


def plain_engine(loaded: LoadedModel, search: str, options: SearchOptions) -> Engine:
    """Build the engine of one model with the search of that name in SEARCHES."""
    instance = SEARCHES[search](options)
    return Engine(
        ModelStepper(loaded.model, keep_hidden_states=instance.reads_hidden_states), instance
    )
