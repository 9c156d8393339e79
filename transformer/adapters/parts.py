"""The linear maps of a published model as rows of ours: what an adapter can change.

Queries, keys and values are one matrix here, and so are a gated feed-forward's gate and up; an
adapter of `q_proj` alone changes only those rows.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from ..config import TransformerConfig
from ..errors import ConfigError
from ..families import FAMILIES, MODEL_TYPE, Family
from ..families.forms import FORMS
from ..families.name_map import NameMap, part_rows
from ..feedforward import FEEDFORWARDS
from ..model import Transformer
from ..registry import either, likely_names
from .settings import ALL_LINEAR

_LAYER = re.compile(r"\.layers\.(\d+)\.")
_STACKS, _HEAD = ("encoder.", "decoder."), "head."
_WEIGHT = ".weight"
# Our own models are adapted by our names; the parts of one matrix have those of initializations.
_OURS = """
    {s}.layers.{i}.attention.qkv = {s}.layers.{i}.attention.{q,k,v}
    {s}.layers.{i}.attention.global_qkv = {s}.layers.{i}.attention.{global_q,global_k,global_v}
    {s}.layers.{i}.attention.gate_value = {s}.layers.{i}.attention.{gate,value}
    {s}.layers.{i}.attention.out = {s}.layers.{i}.attention.out
    {s}.layers.{i}.cross.q = {s}.layers.{i}.cross.q
    {s}.layers.{i}.cross.kv = {s}.layers.{i}.cross.{k,v}
    {s}.layers.{i}.cross.out = {s}.layers.{i}.cross.out
    {s}.layers.{i}.feedforward.up = {s}.layers.{i}.feedforward.UP
    {s}.layers.{i}.feedforward.down = {s}.layers.{i}.feedforward.down
"""


class LinearPart(NamedTuple):
    """A linear map of a published model, and the rows of ours that it is."""

    name: str  # of the published module
    module: str  # of ours
    start: int  # rows
    stop: int
    inputs: int
    form: str = ""  # how it is stored, an entry of FORMS
    head_width: int = 0

    @property
    def key(self) -> str:
        """A name that no other part of the same module has."""
        return self.name.rpartition(".")[2]

    @property
    def is_transposed(self) -> bool:
        """True if it is stored as (inputs, outputs), as GPT-2's."""
        return FORMS[self.form].is_transposed

    def outputs_to_published(self, outputs: Tensor) -> Tensor:
        """Return a tensor with a row for each output in the order of the published outputs."""
        form = FORMS[self.form]
        return form.to_published(outputs, self.head_width) if form.of_outputs else outputs

    def outputs_from_published(self, outputs: Tensor) -> Tensor:
        """Return a tensor with a row for each output in the order of ours."""
        form = FORMS[self.form]
        return form.from_published(outputs, self.head_width) if form.of_outputs else outputs


def linear_parts(model: Transformer, family: Family, *, heads: bool = False) -> list[LinearPart]:
    """Return the linear maps in the layers of a model, by the names that its family gives them.

    With `heads`, they are also those before the outputs of a head that its family has.
    """
    config = model.config
    names = _own_names(config) if is_native(family) else family.names(config)
    known = not is_native(family) and (not config.labels or family.has_label_head_of(config))
    within = (*_STACKS, _HEAD) if heads and known else _STACKS
    maps = {
        f"{name}{_WEIGHT}": module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and name.startswith(within)
    }
    parts: list[LinearPart] = []
    for name, source in names.sources(maps, {names.prefix: None}).items():
        linear, start = maps[name], 0
        sizes = part_rows(config, source.parts, linear.out_features)
        for theirs, form, rows in zip(source.parts, source.forms, sizes, strict=True):
            place = (name.removesuffix(_WEIGHT), start, start + rows, linear.in_features)
            parts.append(LinearPart(theirs.removesuffix(_WEIGHT), *place, form, config.head_width))
            start += rows
    return parts


def is_native(family: Family) -> bool:
    """Return True for the family of our own format."""
    return family is FAMILIES[MODEL_TYPE]


def _own_names(config: TransformerConfig) -> NameMap:
    gated = FEEDFORWARDS[config.feedforward].gated
    return NameMap(_OURS.replace("UP", "{gate,up}" if gated else "up"))


def select_parts(
    parts: Sequence[LinearPart], targets: str | Sequence[str], layers: Sequence[int] = ()
) -> list[LinearPart]:
    """Return the parts that are to be adapted, of some layers or of all.

    A target is the end of a published name, or of ours; a text is `all-linear`, or a regular
    expression for whole published names, as in PEFT. Raises ConfigError for one that fits nothing.
    """
    if isinstance(targets, str) and targets != ALL_LINEAR:
        fitting = _matching(parts, targets)
    elif isinstance(targets, str) or ALL_LINEAR in targets:
        fitting = {part.name for part in parts}
    else:
        fitting = {name for target in targets for name in _named(parts, target)}
    chosen = [part for part in parts if part.name in fitting]
    if layers:
        numbers = {number for part in parts if (number := _layer(part)) is not None}
        if unknown := sorted({*layers} - numbers):
            raise ConfigError(
                f"adapter.layers has {unknown[0]}; the layers are 0 to {max(numbers)}"
            )
        chosen = [part for part in chosen if _layer(part) in layers]
    if not chosen:
        raise ConfigError("adapter.target_modules names nothing to adapt")
    return chosen


def _named(parts: Sequence[LinearPart], target: str) -> list[str]:
    """Return the published names that a target means: by its end, or by that of our module."""
    named = [
        part.name
        for part in parts
        if f".{part.name}".endswith(f".{target}") or f".{part.module}".endswith(f".{target}")
    ]
    if not named:
        ends = sorted({part.key for part in parts})
        likely = likely_names(target, ends)
        hint = f"did you mean {either(likely)}? " if likely else ""
        raise ConfigError(
            f"adapter.target_modules has {target!r}, which is no linear map of this model; {hint}"
            f"it has {', '.join(ends)} ({ALL_LINEAR}: all)"
        )
    return named


def _matching(parts: Sequence[LinearPart], pattern: str) -> set[str]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"adapter.target_modules is no regular expression: {error}") from None
    matching = {part.name for part in parts if expression.fullmatch(part.name)}
    if not matching:
        raise ConfigError(
            f"adapter.target_modules is {pattern!r}, a regular expression for whole names, and "
            f"fits none, such as {parts[0].name}; a name goes into a list: [{pattern!r}]"
        )
    return matching


def _layer(part: LinearPart) -> int | None:
    number = _LAYER.search(part.module)
    return int(number[1]) if number else None
