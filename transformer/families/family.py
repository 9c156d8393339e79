"""Families of published models: their configurations and tensors as ours, and back."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import torch
from torch import Tensor

from checkpoints import CheckpointError, Weights

from ..config import TransformerConfig
from .config_reader import ConfigReader, TensorNames
from .forms import FORMS
from .label_heads import (
    LabelHead,
    LabelHeads,
    names_with_label_heads,
    read_with_label_heads,
    write_with_label_heads,
)
from .name_map import NameMap, TensorSource, part_rows
from .tensor_names import current_names

Shapes = Mapping[str, torch.Size]


@dataclass(frozen=True, kw_only=True)
class Family:
    """One model_type: data, and two functions between configurations.

    `read` turns the options of a config.json into our configuration, `write` does the inverse;
    `names` returns the name map for a configuration. `ignored` are patterns of tensors that hold
    no weights, or parts that this program does not have, such as a pooler. Names of tensors begin
    with `prefix`, but for those of the modules in `outside`, and there are tensors of all `stacks`.
    `label_heads` are its classes with heads over labels, by our names of these.
    """

    read: Callable[[ConfigReader, TensorNames], TransformerConfig]
    write: Callable[[TransformerConfig], dict[str, Any]]
    names: Callable[[TransformerConfig], NameMap]
    ignored: tuple[str, ...] = ()
    architecture: str = ""  # the class in transformers
    bare_architecture: str = ""  # the class without a head, of an encoder that may be without
    prefix: str = ""
    outside: tuple[str, ...] = ("lm_head",)
    stacks: tuple[str, ...] = ()
    known_code: tuple[str, ...] = ()  # patterns of code on the hub, whose classes transformers has
    tied_by_default: bool = True  # the output is the embedding where config.json does not say
    label_heads: LabelHeads = field(default_factory=dict)

    def with_label_heads(self, **heads: LabelHead) -> "Family":
        """Return a family whose models may have these heads over labels, too."""
        modules = {module for head in heads.values() for module in head.modules}
        prefix = self.prefix
        return replace(
            self,
            read=partial(read_with_label_heads, read=self.read, heads=heads, prefix=prefix),
            write=partial(write_with_label_heads, write=self.write, heads=heads),
            names=partial(names_with_label_heads, names=self.names, heads=heads),
            outside=(*self.outside, *sorted(modules)),
            label_heads=heads,
        )

    def knows_code(self, auto_map: object) -> bool:
        """Return True if a file's `auto_map` names only code that this family stands for.

        Code of a tokenizer is left out: tokenizers are read from their files.
        """
        if not isinstance(auto_map, dict):
            return False
        names = [name for kind, name in auto_map.items() if kind != "AutoTokenizer"]
        return all(
            isinstance(name, str)
            and any(fnmatchcase(name.rpartition("--")[2], each) for each in self.known_code)
            for name in names
        )

    def has_label_head_of(self, config: TransformerConfig) -> bool:
        """Return True if one of its classes has a network's head over labels, part for part."""
        head = self.label_heads.get(config.head)
        return head is not None and head.fits(config)

    def architecture_of(self, config: TransformerConfig) -> str:
        """Return the class in transformers of a network."""
        if config.head in self.label_heads:
            return self.label_heads[config.head].architecture
        return self.bare_architecture if config.head == "none" else self.architecture

    def rename(self, weights: Weights) -> Weights:
        """Return weights under the names that the family's class gives them.

        Raises CheckpointError for two of one name.
        """
        return weights.renamed(current_names(weights, prefix=self.prefix, outside=self.outside))

    def load(
        self,
        weights: Weights,
        config: TransformerConfig,
        shapes: Shapes,
        dtype: torch.dtype,
        *,
        as_stored: Collection[str] = (),
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield our tensors one after another, each made of published ones, as `rename` names them.

        They are of a type, but for those that stay `as_stored`, which have one source each.
        Raises CheckpointError if the file's are not exactly those that the configuration needs.
        """
        present = {name: name for name in weights}
        sources = self.names(config).sources(shapes, present)
        self._check_names(weights, present, sources)
        for name, source in sources.items():
            parts = [present[part] for part in source.parts]
            if len(parts) > 1:
                _check_rows(weights, parts, part_rows(config, parts, shapes[name][0]))
            whole = torch.empty(shapes[name], dtype=dtype, device="meta")
            _check_shape(weights, parts, source.forms, whole, config.head_width)
            if name in as_stored:
                yield name, weights.as_stored(parts[0])
            else:
                yield name, _join(weights, parts, source.forms, whole, config.head_width)

    def store(
        self, tensors: Mapping[str, Tensor], config: TransformerConfig
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield published tensors made of ours: the inverse of `load`."""
        names = self.names(config)
        sources = names.sources(tensors, {names.prefix: None})
        for name, source in sources.items():
            rows = part_rows(config, source.parts, len(tensors[name]))
            cuts = torch.split(tensors[name], rows)
            for part, form, cut in zip(source.parts, source.forms, cuts, strict=True):
                yield part, FORMS[form].to_published(cut, config.head_width)

    def _check_names(
        self, weights: Weights, present: dict[str, str], sources: dict[str, TensorSource]
    ) -> None:
        """Raise CheckpointError for tensors that are missing, unknown, or conflicting copies."""
        needed = {part for source in sources.values() for part in source.parts}
        for source in sources.values():
            for alias in source.fallbacks:
                stored = present.pop(alias, None)
                if stored is not None:
                    present.setdefault(source.parts[0], stored)
            aliases = [name for name in source.aliases if name in present and name not in needed]
            if aliases and source.parts[0] not in present:  # stored under an alias
                present[source.parts[0]] = present[aliases[0]]
            for alias in aliases:
                if not weights.equal_values(present[source.parts[0]], present.pop(alias)):
                    raise CheckpointError(
                        f"{weights.folder}: {source.parts[0]} and {alias} should be one matrix, "
                        "and differ"
                    )
        missing, unknown = needed - present.keys(), present.keys() - needed
        unknown = {n for n in unknown if not any(fnmatchcase(n, p) for p in self.ignored)}
        if missing or unknown:
            what = f"lack {min(missing)}" if missing else f"have {min(unknown)}, which is unknown"
            raise CheckpointError(
                f"the weights in {weights.folder} do not fit its config.json: they {what}"
            )


def _join(
    weights: Weights, names: list[str], forms: Sequence[str], ours: Tensor, width: int
) -> Tensor:
    """Return one of our tensors, as `ours` on the meta device: a view of the file, or one copy."""
    if len(names) == 1:
        copied = weights[names[0]].dtype != ours.dtype
        tensor = weights.tensor(names[0], to_copy=copied).to(ours.dtype)
        return FORMS[forms[0]].from_published(tensor, width)
    whole, start = torch.empty(ours.shape, dtype=ours.dtype), 0
    for name, form in zip(names, forms, strict=True):
        tensor, rows = weights.tensor(name, to_copy=True), weights[name].shape[0]
        whole[start : start + rows].copy_(FORMS[form].from_published(tensor, width))
        start += rows
    return whole


def _check_shape(
    weights: Weights, names: list[str], forms: Sequence[str], ours: Tensor, width: int
) -> None:
    """Raise CheckpointError for parts that are not of the shape of one of our tensors."""
    stored = [weights[name].shape for name in names]
    expected = tuple(FORMS[forms[0]].to_published(ours, width).shape)
    if _stacked(stored) != expected:
        raise CheckpointError(
            f"the weights in {weights.folder} do not fit its config.json: {names[0]} is "
            f"{stored[0]}; expected {expected}{' of all parts' if len(names) > 1 else ''}"
        )


def _check_rows(weights: Weights, names: list[str], rows: list[int]) -> None:
    """Raise CheckpointError for parts with wrong numbers of rows, even if their sum is right."""
    for name, expected in zip(names, rows, strict=True):
        if weights[name].shape[:1] != (expected,):
            raise CheckpointError(
                f"the weights in {weights.folder} do not fit its config.json: {name} is "
                f"{weights[name].shape}; expected {expected} rows"
            )


def _stacked(stored: list[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the shape of tensors stacked by rows, or the first's if they do not fit."""
    first = stored[0]
    same = all(len(shape) > 0 and shape[1:] == first[1:] for shape in stored)
    return (sum(shape[0] for shape in stored), *first[1:]) if same else first
