"""Model folders: their paths, and their contents from configuration and headers."""

from pathlib import Path
from typing import Any, NamedTuple

from checkpoints import CheckpointError, Tensors, Weights, read_json, refuse_external_links
from tokenizer import TOKENIZER_FILES
from tokenizer.quantities import format_count

from ..adapters.peft_config import ADAPTER_WEIGHTS
from ..chat.template import CHAT_FILES
from ..config import TransformerConfig
from ..errors import ConfigError, MissingModelError
from ..families import FAMILIES, MODEL_TYPE, ConfigReader, Family, family_of
from ..folder_layout import INITIAL, has_any, has_saves, unsaved_run_message
from ..model_names import check_model_name, is_hub_name
from ..parameters import count_parameters
from .adapter_folder import is_adapter, named_base, other_base, read_base, use_with_base
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

    @property
    def is_quantized(self) -> bool:
        """True if large matrices are in int8, which only folders of ours are read in."""
        return self.weights.is_quantized


class InitialFiles(NamedTuple):
    """The network that an adapter was trained here on, with its own head; it has no weights."""

    folder: Path
    config: TransformerConfig
    options: dict[str, Any]  # the contents of its config.json


class ModelFolders(NamedTuple):
    """The folders that make up a model: its own, and that of the adapter on it, if there is one."""

    model: Path
    adapter: Path | None = None


def find_model(path: Path) -> Path:
    """Return the model folder for a path, which has all of a model; see `find_folder`.

    Raises CheckpointError saying what the path is instead.
    """
    folder = find_folder(path)
    if is_adapter(folder):
        raise CheckpointError(
            f"{folder} is an adapter, and this takes whole models: merge it into its base first "
            f"(transduce checkpoint convert {named_base(folder) or 'BASE'} --adapter {folder} "
            "-o MERGED)"
        )
    return folder


def find_folders(path: Path, adapter: Path | None = None) -> ModelFolders:
    """Return the folders of a model, with an adapter on it or without.

    A path to an adapter that was trained here means its base with it. Raises CheckpointError.
    """
    folder = find_folder(path)
    if adapter is None:
        return (
            ModelFolders(_find_base(folder), folder) if is_adapter(folder) else ModelFolders(folder)
        )
    if is_adapter(folder):
        raise CheckpointError(f"{folder} is an adapter itself; -m takes the model that it is for")
    return ModelFolders(folder, _find_adapter(adapter))


def _find_adapter(path: Path) -> Path:
    folder = path if has_any(path, ADAPTER_WEIGHTS) else find_folder(path)
    if not has_any(folder, ADAPTER_WEIGHTS):
        raise CheckpointError(
            f"--adapter: {folder} is no adapter: it has no {' and no '.join(ADAPTER_WEIGHTS)}"
        )
    return folder


def _find_base(adapter: Path) -> Path:
    """Return the model that an adapter was trained beside here."""
    base = read_base(adapter)
    if base is None:
        named = named_base(adapter)
        of = f" of {named}" if named else ""
        raise CheckpointError(
            f"{adapter} is an adapter{of}, not a model: give both, as {use_with_base(adapter)}"
        )
    path = Path(base.model)
    if not path.exists() and not is_hub_name(path):
        raise CheckpointError(
            f"{adapter} is an adapter of {path}, which is not there any more: give the model where "
            f"it is now, as -m MODEL --adapter {adapter}"
        )
    folder = find_model(path)
    if notice := other_base(adapter, folder):
        raise CheckpointError(
            f"{notice}; to use it all the same, give both, as -m {folder} --adapter {adapter}"
        )
    return folder


def find_folder(path: Path) -> Path:
    """Return the folder for a path: itself, a run's best or last checkpoint, or a hub model.

    It is a model's or an adapter's; of an older sentence model, the subfolder with the network.
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
            return find_folder(fetch_model(path.as_posix()))
        try:
            check_model_name(path)
        except MissingModelError as error:
            raise CheckpointError(str(error)) from None
    if is_adapter(path):
        return path
    message = unsaved_run_message(path) or describe_foreign(path)
    raise CheckpointError(message or f"{path} is no model folder: it has no {CONFIG}")


def inspect_folder(folder: Path) -> FolderContents:
    """Return the contents of a model folder; reads no weights. Raises CheckpointError."""
    source = str(folder / CONFIG)
    refuse_external_links(folder, (*TOKENIZER_FILES, *CHAT_FILES))
    options = read_json(folder / CONFIG)
    refuse_foreign_config(folder, options)
    family = family_of(options, source)
    stored = Weights(folder)
    refuse_foreign_tensors(stored, family)
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


def inspect_initial(adapter: Path) -> InitialFiles | None:
    """Return the network that an adapter was trained here on, None for others."""
    folder = adapter / INITIAL
    if not (folder / CONFIG).is_file():
        return None
    options = read_json(folder / CONFIG)
    reader = ConfigReader(options, str(folder / CONFIG))
    return InitialFiles(folder, FAMILIES[MODEL_TYPE].read(reader, Tensors({})), options)


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
