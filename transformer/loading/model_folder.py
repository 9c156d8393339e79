"""Which folder a path means, and which network the folder holds."""

from pathlib import Path
from typing import Any, NamedTuple

from checkpoints import CheckpointError, Weights, is_inside, read_json, refuse_external_links
from tokenizer import TOKENIZER_FILES

from ..chat.template import CHAT_FILES
from ..config import TransformerConfig
from ..errors import ConfigError
from ..families import ConfigReader, Family, family_of
from ..parameters import count_parameters
from .hub import fetch_model, is_hub_name

CONFIG = "config.json"
RUN = "run.json"  # in a run's folder: which checkpoint is best, which is last


class FolderContents(NamedTuple):
    """A model folder, known from its configuration and its weights' headers."""

    folder: Path
    config: TransformerConfig
    family: Family
    weights: Weights
    options: dict[str, Any]  # config.json as it is


def find_model(path: Path) -> Path:
    """The model folder meant by a path: itself, or a run's best checkpoint, or its last, or that
    of a model on the hub.

    Raises CheckpointError saying what was found instead.
    """
    if (path / CONFIG).is_file():
        return path
    if (path / RUN).is_file():
        pointers = read_json(path / RUN)
        name = pointers.get("best") or pointers.get("last")
        if isinstance(name, str) and is_inside(path, name) and (path / name / CONFIG).is_file():
            return path / name
        raise CheckpointError(f"the run {path} has no checkpoint yet")
    if not path.exists():
        if is_hub_name(path):
            return fetch_model(path.as_posix())
        raise CheckpointError(
            f"there is no folder {path}; give a model's or a run's folder, or a "
            "name on the hub (owner/name)"
        )
    raise CheckpointError(f"{path} is no model folder: it has no {CONFIG}")


def inspect_folder(folder: Path) -> FolderContents:
    """What a model folder holds, whoever wrote it. Reads no weights. Raises CheckpointError."""
    source = str(folder / CONFIG)
    refuse_external_links(folder, (*TOKENIZER_FILES, *CHAT_FILES))
    options = read_json(folder / CONFIG)
    family = family_of(options, source)
    weights = Weights(folder)
    reader = ConfigReader(options, source)
    try:
        config = family.read(reader, weights)
    except ConfigError as error:
        raise reader.error(str(error)) from None
    reader.finish()
    _check_size(config, weights, source)
    return FolderContents(folder, config, family, weights, options)


def read_config(folder: Path) -> TransformerConfig:
    """The configuration of the network in a model folder. Raises CheckpointError."""
    return inspect_folder(folder).config


def _check_size(config: TransformerConfig, weights: Weights, source: str) -> None:
    """Compare counts before anything is allocated, or a list of layers made."""
    parameters, layers = count_parameters(config), config.encoder_layers + config.decoder_layers
    if parameters > weights.elements or layers > len(weights):
        raise CheckpointError(
            f"{source} asks for {parameters:,} parameters in {layers:,} layers; the weights hold "
            f"{weights.elements:,} in {len(weights):,} tensors"
        )
