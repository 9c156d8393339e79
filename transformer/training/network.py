"""The network of a run: a new one, or that of the model or the state that it goes on from."""

from pathlib import Path

from tokenizer import Tokenizer

from ..config import TransformerConfig
from ..initialization import initialize
from ..loading import LoadedModel
from ..model import Transformer
from .adaptation import Adaptation
from .recipe import Recipe
from .recipe_resolution import model_config
from .run_folder import read_state_config
from .run_recovery import SavedState


def network_config(
    recipe: Recipe,
    tokenizer: Tokenizer,
    init: LoadedModel | None,
    run: Path,
    state: SavedState | None,
) -> TransformerConfig:
    """Return the configuration of a run's network. Raises CheckpointError for a damaged state."""
    if init is not None:
        return init.config
    if state is None:
        return model_config(recipe, tokenizer.vocab_size)
    # after --init, the configuration is the initial model's
    last = None if state.pointers is None else state.pointers.last
    return read_state_config(run, state.folder, last)


def network(
    config: TransformerConfig,
    init: LoadedModel | None,
    adaptation: Adaptation | None = None,
    *,
    seed: int,
) -> Transformer:
    """Return the initial model, with an adapter if one is trained, or a network of first values."""
    if init is not None:
        model = init.model.requires_grad_(True)
        if adaptation is not None:
            adaptation.attach(model, seed=seed)
        return model
    model = Transformer(config)
    initialize(model, seed=seed)
    return model
