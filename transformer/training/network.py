"""The network of a run: a new one, or that of the model or the state that it goes on from."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tokenizer import Tokenizer

from ..adapters.saved_modules import HEAD
from ..config import TransformerConfig
from ..errors import ConfigError
from ..heads import HEADS
from ..initialization import initialize
from ..labels import LabelInventory
from ..loading import LoadedModel
from ..model import Transformer
from .adaptation import Adaptation
from .network_config import further_config, model_config
from .recipe import Recipe
from .run_folder import read_state_config
from .run_recovery import SavedState


def network_config(
    recipe: Recipe,
    tokenizer: Tokenizer,
    init: LoadedModel | None,
    run: Path,
    state: SavedState | None,
    *,
    labels: LabelInventory | None = None,
) -> TransformerConfig:
    """Return the configuration of a run's network.

    Raises CheckpointError for a damaged state, and ConfigError for text whose labels are not those
    that the state's network has.
    """
    if state is None:
        if init is None:
            return model_config(recipe, tokenizer.vocab_size, labels)
        return further_config(init.config, recipe, labels)
    # after --init, the configuration is the initial model's
    last = None if state.pointers is None else state.pointers.last
    config = read_state_config(run, state.folder, last)
    if labels is not None and (config.labels, config.label_kind) != labels.head_size:
        raise ConfigError(
            f"{run} cannot go on: its network has {config.labels:,} outputs for labels (kind "
            f"{config.label_kind}), the text {labels.head_size[0]:,} (kind {labels.kind}); start a "
            "new run"
        )
    return config


def keeps_head(init: LoadedModel, config: TransformerConfig, labels: Sequence[str]) -> bool:
    """Return True if a network goes on with the initial model's head: it has the same labels."""
    return init.config == config and init.labels == tuple(labels)


def new_head_remarks(
    init: LoadedModel, config: TransformerConfig, labels: Sequence[str]
) -> Iterator[str]:
    """Yield a line that tells of a head in place of the initial model's, unless it is kept."""
    if keeps_head(init, config, labels) or not HEADS[config.head].count_parameters(config):
        return
    old = init.config
    over = f" over {old.labels:,} labels" if old.labels else ""
    had = f"its own, {old.head}{over}, is left out" if old.head != "none" else "it had none"
    yield f"the model gets a new head, {config.head}, with random first weights; {had}"


def network(
    config: TransformerConfig,
    init: LoadedModel | None,
    adaptation: Adaptation | None = None,
    *,
    seed: int,
    labels: Sequence[str] = (),
) -> Transformer:
    """Return the initial model, or a network of first values.

    The initial model gets a new head where the configuration or the labels are others than its
    own, and an adapter if one is trained.
    """
    if init is not None and keeps_head(init, config, labels):
        model = init.model.requires_grad_(True)
    else:
        model = Transformer(config)
        initialize(model, seed=seed)
        if init is not None:
            own = init.model.state_dict().items()
            body = {name: tensor for name, tensor in own if not name.startswith(HEAD)}
            model.load_state_dict(body, strict=False)
    if init is not None and adaptation is not None:
        adaptation.attach(model, seed=seed)
    return model
