"""Loading of a folder as a model that is ready to run."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import torch

from checkpoints import CheckpointError, verify_checksums
from tokenizer import SpecialAffixes, Tokenizer, TokenizerError, read_tokenizers

from ..adapters.lora import merge_updates
from ..adapters.peft_folder import read_adapter
from ..adapters.saved_modules import HEAD, insert_saved
from ..config import TransformerConfig
from ..errors import ConfigError, UnknownNameError
from ..families import MODEL_TYPE, SOURCE_AFFIXES
from ..model import Transformer
from .adapter_folder import other_base
from .generation_config import GenerationConfig, read_generation_config, settings_notices
from .int8_folder import compact_embeddings, names_as_stored
from .label_names import read_label_names
from .model_folder import (
    CONFIG,
    FolderContents,
    find_folders,
    inspect_folder,
    inspect_initial,
)
from .model_texts import ModelTexts, TextProperties

TOKENIZER = "tokenizer.json"


@dataclass(frozen=True)
class LoadedModel(TextProperties):
    """A model that is ready to run, with its tokenizers and settings."""

    model: Transformer
    tokenizer: Tokenizer
    generation: GenerationConfig
    folder: Path
    target: Tokenizer | None = None  # see ModelTexts
    source_affixes: SpecialAffixes | None = None
    labels: tuple[str, ...] = ()
    token_types: int = 0
    number_type: str | None = None  # of DTYPES, if loaded for inference
    notices: tuple[str, ...] = ()  # what its files say and nothing here does; a sentence each
    adapter: Path | None = None  # that is merged into the network
    dtype_choice: str = ""  # why it has a number type that nobody asked for
    dtype_notices: tuple[str, ...] = ()  # on numbers that are not its files', or not what was asked
    rounded_in: Path | None = None  # a folder in int8 of which its weights of floats are made

    @property
    def config(self) -> TransformerConfig:
        """The network's configuration."""
        return self.model.config

    @property
    def named_folder(self) -> Path:
        """The folder that messages name it by: that of its adapter, if there is one."""
        return self.adapter or self.folder

    @property
    def dtype(self) -> str:
        """The name of its number type, of DTYPES."""
        return self.number_type or str(self.model.dtype).removeprefix("torch.")

    @property
    def rounding(self) -> str:
        """A sentence on weights that were rounded before they were loaded; "" for others."""
        if self.rounded_in is None:
            return ""
        return (
            f"the weights of {self.rounded_in} were rounded to int8: they are used in "
            f"{self.dtype}, no more exact than that"
        )

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.model.device

    @classmethod
    def of(cls, model: Transformer, texts: ModelTexts) -> "LoadedModel":
        """Return a network with its texts."""
        return cls(model, **vars(texts))

    @property
    def texts(self) -> ModelTexts:
        """All but the network."""
        return ModelTexts(
            self.tokenizer,
            self.generation,
            self.folder,
            self.target,
            self.source_affixes,
            self.labels,
            self.token_types,
        )


def choose_device(name: str) -> torch.device:
    """Return a device; `auto` is a GPU if there is one. Raises ConfigError if it is unavailable."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(
            f"no device is called {name!r}; allowed: auto, cpu, cuda, cuda:N"
        ) from None
    if device.type not in {"cpu", "cuda"}:
        raise ConfigError(f"device {name} is not supported; allowed: auto, cpu, cuda, cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"device {name}: there are {torch.cuda.device_count()} CUDA devices")
    return device


class OpenedModel(NamedTuple):
    """The folders of a model, found and verified, before any of its weights is read."""

    contents: FolderContents
    adapter: Path | None


def open_model(path: Path, *, trust_cache: bool = True, adapter: Path | None = None) -> OpenedModel:
    """Find the folders of a model, verify their checksums, and inspect them; see `load_model`."""
    folders = find_folders(path, adapter)
    verify_checksums(folders.model, trust_cache=trust_cache)
    contents = inspect_folder(folders.model)
    if folders.adapter is not None:
        verify_checksums(folders.adapter, trust_cache=trust_cache)
    return OpenedModel(contents, folders.adapter)


def load_model(
    path: Path,
    *,
    device: str = "auto",
    dtype: torch.dtype = torch.float32,
    trust_cache: bool = True,
    adapter: Path | None = None,
) -> LoadedModel:
    """Load a model or run folder for decoding, with an adapter merged into it, if one is named.

    With `trust_cache`, files whose checksums were verified before are read again only if they have
    changed. Raises CheckpointError or TokenizerError.
    """
    target_device = choose_device(device)
    opened = open_model(path, trust_cache=trust_cache, adapter=adapter)
    return load_opened(opened, device=target_device, dtype=dtype)


def load_opened(
    opened: OpenedModel, *, device: torch.device, dtype: torch.dtype, as_stored: bool = False
) -> LoadedModel:
    """Load a model whose folders were opened; for `as_stored` see `build_model`."""
    contents = opened.contents
    model = build_model(contents, device=device, dtype=dtype, as_stored=as_stored)
    loaded = attach_tokenizers(contents, model)
    if contents.is_quantized and not as_stored:
        loaded = replace(loaded, rounded_in=contents.folder)
    return loaded if opened.adapter is None else with_adapter(loaded, contents, opened.adapter)


def with_adapter(loaded: LoadedModel, contents: FolderContents, folder: Path) -> LoadedModel:
    """Return a model with an adapter, which is merged into its network.

    One that was trained here has its own texts, and may have its own head. Raises CheckpointError
    if it does not fit.
    """
    own, model, device = inspect_initial(folder), loaded.model, loaded.device
    if own is not None:
        model = _with_head_of(model, own.config)
        texts = read_texts(own.folder, own.config, own.options)
        loaded = replace(loaded, model=model, **vars(texts))
    adapter = read_adapter(folder, model, contents.family)
    merge_updates(model, adapter.updates)
    insert_saved(model, adapter.saved)
    if lacking := [name for name, tensor in model.state_dict().items() if tensor.is_meta]:
        raise CheckpointError(f"the adapter {folder} lacks {lacking[0]}, which its base lacks, too")
    model.to(device)  # a new head is read on the CPU
    notices = [*loaded.notices, other_base(folder, contents.folder)]
    if adapter.unused:
        notices.append(f"of the adapter {folder}, {', '.join(adapter.unused)} is not used here")
    return replace(loaded, adapter=folder, notices=(*filter(None, notices),))


def _with_head_of(model: Transformer, config: TransformerConfig) -> Transformer:
    """Return a model, or its body under another head, whose weights are still to come."""
    if model.config == config:
        return model
    with torch.device("meta"):
        other = Transformer(config).to(model.dtype)
    own = model.state_dict().items()
    body = {name: tensor for name, tensor in own if not name.startswith(HEAD)}
    try:
        other.load_state_dict(body, strict=False, assign=True)
    except RuntimeError:  # of shapes
        raise CheckpointError("the adapter is of a network of another size than its base") from None
    return other.eval().requires_grad_(False)


def attach_tokenizers(contents: FolderContents, model: Transformer) -> LoadedModel:
    """Combine a folder's model with its tokenizers and settings. Raises CheckpointError."""
    texts = read_texts(contents.folder, contents.config, contents.options)
    loaded = LoadedModel.of(model, texts)
    return replace(loaded, notices=settings_notices(contents.folder, contents.options))


def read_texts(folder: Path, config: TransformerConfig, options: dict[str, Any]) -> ModelTexts:
    """Return tokenizers, settings and names of labels in a model's folder. Raises CheckpointError.

    `options` are those of its config.json.
    """
    vocabulary = max(config.source_vocabulary, config.vocab_size)
    source, target = read_tokenizers(folder, vocabulary=vocabulary)
    sizes = {source: config.source_vocabulary, target: config.vocab_size}
    for tokenizer, size in sizes.items():
        ids = max(tokenizer.vocab_size, tokenizer.largest_id + 1)
        if ids > size:
            try:
                tokenizer.limit_ids(size)
            except TokenizerError as error:
                raise CheckpointError(f"{folder}: {error}") from None
    generation = read_generation_config(folder, options, target, config.vocab_size)
    affixes = _read_source_affixes(folder, config, options, source)
    labels = read_label_names(folder, config, options)
    types = config.token_types
    texts = ModelTexts(source, generation, folder, target, affixes, labels, types)
    is_both = config.has_encoder and config.has_decoder
    if is_both and (texts.decoder_start_id or 0) >= config.vocab_size:
        raise CheckpointError(
            f"{folder}: bos_token_id, with which a text starts, is {texts.decoder_start_id}; "
            f"the vocabulary has {config.vocab_size:,} tokens"
        )
    return texts


def _read_source_affixes(
    folder: Path, config: TransformerConfig, options: dict[str, Any], tokenizer: Tokenizer
) -> SpecialAffixes | None:
    """Return the ids around a source as config.json has them. Raises CheckpointError.

    Published models have none but those of their tokenizer, which may be none at all.
    """
    size = config.source_vocabulary
    if not (config.has_encoder or config.labels):
        return None
    if options.get("model_type") != MODEL_TYPE:
        return ([], []) if tokenizer.special_affixes() == ([], []) else None
    affixes: Any = options.get(SOURCE_AFFIXES)
    if affixes is None:
        return None
    try:
        before, after = msgspec.convert(affixes, tuple[list[int], list[int]])
    except msgspec.ValidationError as error:
        raise CheckpointError(f"{folder / CONFIG}: {SOURCE_AFFIXES}: {error}") from None
    if not all(0 <= token_id < size for token_id in (*before, *after)):
        raise CheckpointError(
            f"{folder / CONFIG}: {SOURCE_AFFIXES} are {affixes}; the vocabulary has {size:,} tokens"
        )
    return before, after


def build_model(
    contents: FolderContents,
    *,
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float32,
    as_stored: bool = False,
) -> Transformer:
    """Build a network with the folder's weights, for evaluation.

    Nothing is initialized first, and weights that need no conversion are views of their file. With
    `as_stored`, a folder in int8 keeps its integers, which only `pack_model` reads, and a writer.
    Raises CheckpointError if the weights do not fit the configuration.
    """
    try:
        with torch.device("meta"):
            model = Transformer(contents.config)
    except (ConfigError, UnknownNameError) as error:
        raise CheckpointError(f"{contents.folder}: {error}") from None
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    kept = names_as_stored(model, contents.weights) if as_stored else ()
    read, config = contents.family.load, contents.config
    tensors = read(contents.weights, config, shapes, dtype, as_stored=kept)
    model.requires_grad_(False)  # which integers cannot have
    model.load_state_dict({name: t.to(device or t.device) for name, t in tensors}, assign=True)
    if kept:
        compact_embeddings(model, dtype)
    return model.eval()
