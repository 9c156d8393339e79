"""Model folders: their paths, and their contents from configuration and headers."""

from pathlib import Path
from typing import Any, NamedTuple

from checkpoints import CheckpointError, Weights, read_json, refuse_external_links
from tokenizer import TOKENIZER_FILES
from tokenizer.quantities import format_count

from ..chat.template import CHAT_FILES
from ..config import TransformerConfig
from ..errors import ConfigError, MissingModelError
from ..families import ConfigReader, Family, family_of
from ..folder_layout import has_saves
from ..model_names import check_model_name, is_hub_name
from ..parameters import count_parameters
from .foreign import (
    describe_foreign,
    refuse_foreign_config,
    refuse_foreign_tensors,
    refuse_partial_model,
)
from .hub import fetch_model
from .pooling_config import transformer_folder
from .run_pointers import find_checkpoint

CONFIG = "config.json"


class FolderContents(NamedTuple):
    """The contents of a model folder, from its configuration and the headers of its weights."""

    folder: Path
    config: TransformerConfig
    family: Family
    weights: Weights
    options: dict[str, Any]  # the contents of config.json


def find_model(path: Path) -> Path:
    """Return the model folder for a path: itself, a run's best or last checkpoint, or a hub model.

    Of an older sentence model, it is the subfolder with the network.
    Raises CheckpointError saying what the path is instead.
    """
    if (path / CONFIG).is_file():
        return path
    inner = transformer_folder(path)
    if inner is not None and (inner / CONFIG).is_file():
        refuse_external_links(path, [inner.name])
        return inner
    if has_saves(path):
        return find_checkpoint(path)
    if not path.exists():
        if is_hub_name(path):
            return find_model(fetch_model(path.as_posix()))
        try:
            check_model_name(path)
        except MissingModelError as error:
            raise CheckpointError(str(error)) from None
    message = describe_foreign(path)
    raise CheckpointError(message or f"{path} is no model folder: it has no {CONFIG}")


def inspect_folder(folder: Path) -> FolderContents:
    """Return the contents of a model folder; reads no weights. Raises CheckpointError."""
    source = str(folder / CONFIG)
    refuse_external_links(folder, (*TOKENIZER_FILES, *CHAT_FILES))
    options = read_json(folder / CONFIG)
    refuse_foreign_config(folder, options)
    family = family_of(options, source)
    stored = Weights(folder)
    refuse_foreign_tensors(stored)
    refuse_partial_model(stored, family, options)
    weights = family.rename(stored)
    reader = ConfigReader(options, source)
    try:
        config = family.read(reader, weights)
    except ConfigError as error:
        raise reader.error(str(error)) from None
    reader.finish()
    _check_size(config, weights, source)
    return FolderContents(folder, config, family, weights, options)


def read_config(folder: Path) -> TransformerConfig:
    """Return the configuration of the network in a model folder. Raises CheckpointError."""
    return inspect_folder(folder).config


def _check_size(config: TransformerConfig, weights: Weights, source: str) -> None:
    """Raise CheckpointError if there are fewer weights than parameters, before any is allocated."""
    parameters, layers = count_parameters(config), config.encoder_layers + config.decoder_layers
    if parameters > weights.elements or layers > len(weights):
        raise CheckpointError(
            f"{source} asks for {parameters:,} parameters in "
            f"{format_count(layers, 'layer')}; the weights hold "
            f"{weights.elements:,} in {format_count(len(weights), 'tensor')}"
        )
