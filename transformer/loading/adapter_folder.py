"""Folders of adapters, and the base models that they were trained beside."""

from pathlib import Path

import msgspec

from checkpoints import (
    CheckpointError,
    changed_weights,
    read_json,
    to_json,
    weight_sums,
)

from ..adapters.peft_config import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from ..folder_layout import has_any
from .hub import hub_name

BASE = "adapter_base.json"


class AdapterBase(msgspec.Struct, frozen=True):
    """The model that an adapter was trained beside, as its folder here names it."""

    model: str  # a path, or a name on the hub
    weights: dict[str, str]  # their SHA-256 sums, by file


def is_adapter(folder: Path) -> bool:
    """Return True for a folder with an adapter and no model."""
    return has_any(folder, ADAPTER_WEIGHTS) and not has_any(folder, ["config.json"])


def describe_base(folder: Path) -> AdapterBase:
    """Return a model's folder as the base of an adapter that is trained beside it."""
    name = hub_name(folder)
    model = str(folder.absolute()) if name is None else name.replace(", revision ", "@")
    return AdapterBase(model, weight_sums(folder))


def write_base(adapter: Path, base: AdapterBase) -> None:
    """Write into an adapter's folder which model is its base."""
    (adapter / BASE).write_text(to_json(msgspec.to_builtins(base)), encoding="utf-8")


def read_base(adapter: Path) -> AdapterBase | None:
    """Return the base that a folder written here names; None for others. Raises CheckpointError."""
    if not (adapter / BASE).is_file():
        return None
    try:
        return msgspec.convert(read_json(adapter / BASE), AdapterBase)
    except msgspec.ValidationError as error:
        raise CheckpointError(f"{adapter / BASE} is damaged: {error}") from None


def other_base(adapter: Path, model: Path) -> str | None:
    """Return a notice if a model is not the base that an adapter names with its weights' sums."""
    base = read_base(adapter)
    if base is None:
        return None
    changed = changed_weights(model, base.weights)
    if changed is None:
        return None
    return f"{adapter} was trained beside another model than {model}: {changed} is not the same"


def named_base(adapter: Path) -> str | None:
    """Return the base model that an adapter's configuration names, if it does."""
    if not (adapter / ADAPTER_CONFIG).is_file():
        return None
    name = read_json(adapter / ADAPTER_CONFIG).get("base_model_name_or_path")
    return name if isinstance(name, str) and name else None


def use_with_base(adapter: Path) -> str:
    """Return the options that load an adapter beside its base."""
    return f"-m {named_base(adapter) or 'BASE'} --adapter {adapter}"
