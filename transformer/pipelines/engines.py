"""Engines of loaded models."""

from ..decoding import Engine, ModelStepper, SearchParameters
from ..loading import LoadedModel


def plain_engine(loaded: LoadedModel, parameters: SearchParameters) -> Engine:
    """Build the engine of one model."""
    search = parameters.build()
    stepper = ModelStepper(loaded.model, keep_hidden_states=search.reads_hidden_states)
    return Engine(stepper, search)
