"""Conversion of model folders: to formats of other programs, or to ours."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from checkpoints import (
    WEIGHTS,
    Tensors,
    save_tensors,
    to_json,
    verify_checksums,
    write_folder,
)

from ..errors import ConfigError
from ..families import FAMILIES, MODEL_TYPE, ConfigReader
from ..families.label_options import write_labels
from ..loading.generation_config import GENERATION, SETTING_NAMES
from ..loading.int8_folder import INT8, has_integers, int8_tensors
from ..loading.load import LoadedModel, attach_tokenizers, build_model, with_adapter
from ..loading.model_folder import CONFIG, FolderContents, find_folders, inspect_folder
from ..model import Transformer
from ..registry import Registry
from .ctranslate2 import export_ctranslate2
from .published import PUBLISHED, PublishedModel, to_published
from .save import save_network
from .side_files import (
    all_settings,
    carried_files,
    files_in_ctranslate2,
    files_left_behind,
    is_native,
    original_options,
    parts_left_behind,
    settings_left_behind,
    write_native_texts,
    write_published_files,
)
from .tokenizer_classes import notices_on_tokenizer

CTRANSLATE2 = "ctranslate2"

# Ids of config.json that the classes of transformers have defaults for.
_IDS = (
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "decoder_start_token_id",
    "forced_bos_token_id",
    "forced_eos_token_id",
)
# Options of config.json that are written anew.
_OF_WRITERS = {"architectures", "dtype", "torch_dtype", "transformers_version", *SETTING_NAMES}


@dataclass(frozen=True, kw_only=True)
class ModelFormat:
    """A format of model folders: its writer, which returns the family's name, and what it keeps.

    `carried` returns the paths of a model's files that it has the contents of, weights aside, and
    `left_behind` what else is lost. `holds_int8`: matrices may be in int8 there.
    """

    write: Callable[[Path, LoadedModel, FolderContents], str]
    carried: Callable[[Path], list[Path]] = carried_files
    left_behind: Callable[[FolderContents, LoadedModel], list[str]] = parts_left_behind
    holds_int8: bool = False


def convert_model(
    path: Path,
    out: Path,
    *,
    to: str | None = None,
    dtype: str | None = None,
    adapter: Path | None = None,
    notices: list[str] | None = None,
) -> str:
    """Write a model folder in the format `to`, an entry of MODEL_FORMATS; return the family's name.

    An adapter is merged into it. Without a `dtype`, an entry of STORED_TYPES, weights keep theirs.
    Without `to` it is transduce's own format for int8, the first published family for others.
    `notices` gets lines on what is left behind, or was rounded before. Raises ConfigError naming
    what the format cannot express.
    """
    to = to or (MODEL_TYPE if dtype == INT8 else PUBLISHED)
    form, (folder, adapter) = _format_of(to, dtype), find_folders(path, adapter)
    verify_checksums(folder)
    contents, told = inspect_folder(folder), [] if notices is None else notices
    if dtype is None and contents.is_quantized and form.holds_int8:
        dtype = INT8
    loaded = attach_tokenizers(contents, _network(contents, dtype, as_stored=adapter is None))
    loaded = replace(loaded, number_type=dtype)
    if contents.is_quantized and dtype != INT8:
        told.append(replace(loaded, rounded_in=folder).rounding)
    if adapter is not None:
        verify_checksums(adapter)
        before = len(loaded.notices)
        loaded = with_adapter(loaded, contents, adapter)
        told += loaded.notices[before:]
    if dtype == INT8 and not has_integers(loaded.model):
        told.append(
            f"no map of {folder} is large enough for int8, so all are in float16: name the type "
            "when you use it, --dtype int8"
        )
    name = form.write(out, loaded, contents)
    dropped = files_left_behind(contents, form.carried(folder)) + form.left_behind(contents, loaded)
    told += notices_on_tokenizer(out, name)
    if dropped:
        told.append(f"not carried over from {folder}: {', '.join(dropped)}")
    return name


def _format_of(to: str, dtype: str | None) -> ModelFormat:
    """Return a format by its name. Raises ConfigError if it has no place for a number type."""
    form = MODEL_FORMATS[to]
    if dtype is not None:
        STORED_TYPES.check(dtype)
    if dtype == INT8 and not form.holds_int8:
        raise ConfigError(f"--to {to} has no place for int8; --to {MODEL_TYPE} has")
    return form


def _network(contents: FolderContents, dtype: str | None, *, as_stored: bool) -> Transformer:
    """Build a folder's network to be written in a type. Raises ConfigError if that is too small.

    `as_stored` keeps integers, where there are any and they are written.
    """
    if dtype is None:
        return build_model(contents, dtype=stored_dtype(contents))
    as_stored = as_stored and contents.is_quantized and dtype == INT8
    model = build_model(contents, dtype=STORED_TYPES[dtype], as_stored=as_stored)
    if model.dtype != torch.float32:
        for name, tensor in model.state_dict().items():
            if not tensor.isfinite().all():
                raise ConfigError(
                    f"{contents.folder}: {name} has numbers beyond {dtype}: take another --dtype"
                )
    return model


def stored_dtype(contents: FolderContents) -> torch.dtype:
    """Return the type of a folder's floating-point weights; the first of them decides.

    It is float32 beside integers, which then are numbers of float32.
    """
    if contents.is_quantized:
        return torch.float32
    dtypes = (header.dtype for header in contents.weights.values())
    floating = (dtype for dtype in dtypes if dtype is not None and dtype.is_floating_point)
    return next(floating, torch.float32)


def _convert_to_native(out: Path, loaded: LoadedModel, contents: FolderContents) -> str:
    write_folder(out, lambda folder: _write_native(folder, loaded, contents))
    return MODEL_TYPE


def _convert_to_ctranslate2(out: Path, loaded: LoadedModel, _contents: FolderContents) -> str:
    export_ctranslate2(loaded, out)
    return CTRANSLATE2


def _convert_to_published(
    out: Path, loaded: LoadedModel, contents: FolderContents, *, to: str
) -> str:
    published = to_published(loaded, to, former=_published_options(contents).get("model_type"))
    write_folder(out, lambda folder: _write_published(folder, loaded, contents, published))
    return published.model_type


def _write_native(folder: Path, loaded: LoadedModel, contents: FolderContents) -> None:
    card = {"converted from": loaded.folder.name}
    model, config = loaded.model, loaded.config
    weights = int8_tensors(model) if loaded.number_type == INT8 else model.state_dict()
    save_network(folder, config, weights, card=card)
    write_native_texts(folder, loaded, contents)


def _write_published(
    folder: Path, loaded: LoadedModel, contents: FolderContents, published: PublishedModel
) -> None:
    settings = all_settings(loaded, contents.options)
    if not settings.get("suppress_tokens", True):
        del settings["suppress_tokens"]  # none are
    if loaded.config.shape == "encoder-decoder" and loaded.decoder_start_id is not None:
        settings["decoder_start_token_id"] = loaded.decoder_start_id
    # Without an id, transformers would take a default of its class, which may not exist here.
    ids = dict.fromkeys(_IDS if loaded.config.has_decoder else ())
    ids |= {name: value for name, value in settings.items() if name.endswith("_token_id")}
    config = {
        **_unread_options(contents, published),
        "model_type": published.model_type,
        "architectures": [published.architecture],
        "dtype": str(next(iter(published.tensors.values())).dtype).removeprefix("torch."),
        **ids,
        **published.options,
        **(write_labels(loaded.config, loaded.labels) if loaded.labels else {}),
    }
    (folder / CONFIG).write_text(to_json(config), encoding="utf-8")
    (folder / GENERATION).write_text(to_json(settings), encoding="utf-8")
    save_tensors(folder / WEIGHTS, published.tensors)
    write_published_files(folder, loaded, contents)


def _published_options(contents: FolderContents) -> dict[str, Any]:
    """Return the options of a folder; of ours, those of the model that it was converted from."""
    return original_options(contents.folder) if is_native(contents) else contents.options


def _unread_options(contents: FolderContents, published: PublishedModel) -> dict[str, Any]:
    """Return the published options that say nothing of the network, such as labels."""
    options = _published_options(contents)
    if options.get("model_type") != published.model_type:
        return {}
    # The class is the network's that is written, whose head may be another.
    classes = {"architectures": [published.architecture]}
    reader = ConfigReader({**options, **classes}, str(contents.folder))
    FAMILIES[published.model_type].read(reader, Tensors(published.tensors))
    return {name: v for name, v in reader.unread.items() if name not in _OF_WRITERS}


MODEL_FORMATS = Registry(
    "format",
    {
        PUBLISHED: ModelFormat(write=partial(_convert_to_published, to=PUBLISHED)),
        CTRANSLATE2: ModelFormat(
            write=_convert_to_ctranslate2,
            carried=files_in_ctranslate2,
            left_behind=settings_left_behind,
        ),
        **{n: ModelFormat(write=partial(_convert_to_published, to=n)) for n in FAMILIES},
        MODEL_TYPE: ModelFormat(write=_convert_to_native, holds_int8=True),
    },
)
STORED_TYPES = Registry(
    "number type of stored weights",
    {
        "float32": torch.float32,
        "bfloat16": torch.bfloat16,
        "float16": torch.float16,
        INT8: torch.float32,  # until it is written
    },
)
