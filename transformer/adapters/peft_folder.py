"""Adapters in folders as PEFT has them: adapter_config.json and adapter_model.safetensors."""

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from checkpoints import CheckpointError, Weights, save_tensors, to_json
from tokenizer.quantities import format_count

from ..config import TransformerConfig
from ..errors import ConfigError
from ..families import Family
from ..families.tensor_names import current_names
from ..model import Transformer
from .lora import LowRankUpdate
from .parts import LinearPart, linear_parts
from .peft_config import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    PeftConfig,
    peft_fields,
    read_peft_config,
)
from .saved_modules import PublishedTensor, published_tensors, refuse_tied
from .settings import AdapterSettings

_PREFIX = "base_model.model."
_LORA = re.compile(r"\.(lora_A|lora_B|lora_magnitude_vector|lora_\w+)(\.weight)?$")
# PEFT's names of what a model is for, by its shape and by its head.
_TASKS = {
    ("decoder", "linear"): "CAUSAL_LM",
    ("encoder-decoder", "linear"): "SEQ_2_SEQ_LM",
    ("encoder", "none"): "FEATURE_EXTRACTION",
}
# Likewise by a head over labels that the family has, too.
_LABEL_TASKS = {"classification": "SEQ_CLS", "tagging": "TOKEN_CLS"}


class Adapter(NamedTuple):
    """The changes that an adapter makes to a model: updates of linear maps, and whole tensors."""

    updates: list[LowRankUpdate]
    saved: list[tuple[PublishedTensor, Tensor]]
    unused: list[str]  # published modules that this program does not have, such as a pooler


def read_adapter(folder: Path, model: Transformer, family: Family) -> Adapter:
    """Read an adapter for a model, the weights of which are not read.

    Raises CheckpointError for a folder that is damaged, not supported, or of another model.
    """
    config = read_peft_config(folder)
    weights = _current(Weights(folder, ADAPTER_WEIGHTS), family)
    parts = {part.name: part for part in linear_parts(model, family, heads=True)}
    tensors: dict[str, dict[str, str]] = {}
    whole: list[str] = []
    for name in weights:
        match = _LORA.search(name)
        if match is None:
            whole.append(name)
        else:
            tensors.setdefault(name[: match.start()], {})[match[1]] = name
    known = {each.name: each for each in published_tensors(model, family)}
    unused = [module for module in tensors if _is_unused(f"{module}.weight", known, family)]
    updates = [
        _update(weights, config, parts, module, names)
        for module, names in tensors.items()
        if module not in unused
    ]
    saved = _saved(weights, whole, model, known, family)
    if not updates and not saved:
        raise CheckpointError(f"{folder} is an adapter without any weights")
    unread = [name for name in whole if _is_unused(name, known, family)]
    return Adapter(updates, saved, [*unused, *unread])


def write_adapter(
    folder: Path,
    model: Transformer,
    family: Family,
    updates: Sequence[LowRankUpdate],
    settings: AdapterSettings,
    *,
    saved: Iterable[str] = (),
    base: str | None = None,
) -> None:
    """Write a model's updates, and tensors of it that are `saved` whole, by our names."""
    stored: dict[str, Tensor] = {}
    for update in updates:
        name = _published(update.part.name, model.config, family)
        stored[f"{_PREFIX}{name}.lora_A.weight"] = update.a
        stored[f"{_PREFIX}{name}.lora_B.weight"] = update.part.outputs_to_published(update.b)
    modules, state = set(), model.state_dict()
    for tensor in published_tensors(model, family):
        if tensor.ours in saved:
            name = _published(tensor.name, model.config, family)
            stored[_PREFIX + name] = tensor.extract(state[tensor.ours])
            modules.add(_saved_module(name, model.config, family))
    fields = peft_fields(
        settings,
        base=base,
        task=_task(model.config, family),
        modules=[_published(update.part.name, model.config, family) for update in updates],
        saved=sorted(modules),
        is_transposed=any(update.part.is_transposed for update in updates),
    )
    (folder / ADAPTER_CONFIG).write_text(to_json(fields), encoding="utf-8")
    save_tensors(folder / ADAPTER_WEIGHTS[0], stored)


def _task(config: TransformerConfig, family: Family) -> str | None:
    if config.labels:
        return _LABEL_TASKS[config.head] if family.has_label_head_of(config) else None
    return _TASKS.get((config.shape, config.head))


def _saved_module(name: str, config: TransformerConfig, family: Family) -> str:
    """Return the module to name for a tensor kept whole: its own, or a head over labels as one.

    PEFT names the latter itself, and a module cannot be kept twice.
    """
    head = family.label_heads.get(config.head)
    first = name.partition(".")[0]
    return first if head is not None and first in head.modules else name.rpartition(".")[0]


def _current(stored: Weights, family: Family) -> Weights:
    """Return an adapter's tensors under the names that the family's class gives their modules."""
    inner = {
        name: name.removeprefix(_PREFIX)
        .replace(".modules_to_save.default.", ".")
        .replace(".modules_to_save.", ".")
        for name in stored
    }
    current = current_names(inner.values(), prefix=family.prefix, outside=family.outside)
    return stored.renamed({name: current[own] for name, own in inner.items()})


def _published(name: str, config: TransformerConfig, family: Family) -> str:
    """Return a name as the class of the base has it: a bare one's names lack the prefix."""
    is_bare = config.head == "none" and family.bare_architecture
    return name.removeprefix(family.prefix) if is_bare else name


def _update(
    weights: Weights,
    config: PeftConfig,
    parts: Mapping[str, LinearPart],
    module: str,
    names: Mapping[str, str],
) -> LowRankUpdate:
    """Return the update of one module, with its shapes checked."""
    folder = weights.folder
    wanted = {"lora_A", "lora_B", *(["lora_magnitude_vector"] if config.use_dora else [])}
    if names.keys() != wanted:
        odd = min(wanted ^ names.keys())
        what = f"lacks {odd}" if odd in wanted else f"has {odd}, which is not supported,"
        raise CheckpointError(f"{folder}: the adapter {what} for {module}")
    part = parts.get(module)
    if part is None:
        raise CheckpointError(
            f"{folder} adapts {module}, which the model does not have as a linear map of a layer: "
            f"{_of_base(config)}"
        )
    outputs, shapes = (
        part.stop - part.start,
        {key: weights[name].shape for key, name in names.items()},
    )
    rank = shapes["lora_A"][0] if shapes["lora_A"] else 0
    expected = {"lora_A": (rank, part.inputs), "lora_B": (outputs, rank)}
    for key, shape in expected.items():
        if shapes[key] != shape or rank < 1:
            raise CheckpointError(
                f"{folder}: {key} of {module} is {shapes[key]}, and the model's is "
                f"{outputs} × {part.inputs}: {_of_base(config)}"
            )
    if rank != config.rank(module):
        raise CheckpointError(
            f"{folder}: {module} has rank {rank}, and {ADAPTER_CONFIG} says {config.rank(module)}"
        )
    magnitude = weights.tensor(names["lora_magnitude_vector"]) if config.use_dora else None
    if magnitude is not None and magnitude.numel() != outputs:
        raise CheckpointError(
            f"{folder}: lora_magnitude_vector of {module} has "
            f"{format_count(magnitude.numel(), 'number')} for {format_count(outputs, 'row')}"
        )
    if magnitude is not None:
        magnitude = part.outputs_from_published(magnitude.flatten())
    a, b = (weights.tensor(names[key]) for key in ("lora_A", "lora_B"))
    scale = config.scale(module, rank)
    return LowRankUpdate(part, a, part.outputs_from_published(b), scale, magnitude)


def _saved(
    weights: Weights,
    names: Iterable[str],
    model: Transformer,
    known: Mapping[str, PublishedTensor],
    family: Family,
) -> list[tuple[PublishedTensor, Tensor]]:
    """Return the tensors that are kept whole, each as one of the model's, and its value."""
    folder, saved = weights.folder, []
    for name in names:
        tensor = known.get(name)
        if _is_unused(name, known, family):
            continue
        if tensor is None:
            raise CheckpointError(f"{folder} has {name}, which the model does not have")
        try:
            refuse_tied(tensor.ours, model.config, f"{folder} has {name}")
        except ConfigError as error:
            raise CheckpointError(str(error)) from None
        if weights[name].shape != tensor.shape:
            raise CheckpointError(
                f"{folder}: {name} is {weights[name].shape}, and the model's is {tensor.shape}"
            )
        saved.append((tensor, weights.tensor(name)))
    return saved


def _of_base(config: PeftConfig) -> str:
    base = config.base_model_name_or_path
    return f"it was made for {base}" if base else "it was made for another model"


def _is_unused(name: str, known: Mapping[str, PublishedTensor], family: Family) -> bool:
    """Return True for a published tensor of a part that this program, or the model, lacks."""
    return name not in known and any(fnmatchcase(name, pattern) for pattern in family.ignored)
