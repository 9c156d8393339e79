"""A family of published models: how its options and its tensors' names become ours, and back."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor

from checkpoints import CheckpointError, Weights

from .config_reader import ConfigReader, Fields, Names
from .name_map import NameMap, Source, part_rows

Shapes = Mapping[str, torch.Size]


@dataclass(frozen=True, kw_only=True)
class Family:
    """One model_type: data, and two functions between configurations.

    `read` makes our configuration's fields of theirs, `write` theirs of ours; `names` gives the
    name map for a configuration of ours. `ignored` are patterns of tensors that hold no weights,
    or parts that this program does not have, such as a pooler.
    """

    read: Callable[[ConfigReader, Names], Fields]
    write: Callable[[Fields], Fields]
    names: Callable[[Fields], NameMap]
    ignored: tuple[str, ...] = ()
    architecture: str = ""  # what transformers calls the class

    def load(
        self, weights: Weights, fields: Fields, shapes: Shapes, dtype: torch.dtype
    ) -> Iterator[tuple[str, Tensor]]:
        """Our tensors one after another, each made of theirs.

        Raises CheckpointError where theirs are not exactly those that the configuration needs.
        """
        present = {_modern(name): name for name in weights}
        sources = self.names(fields).sources(shapes, present)
        self._check_names(weights, present, sources)
        for name, source in sources.items():
            parts = [present[part] for part in source.parts]
            if len(parts) > 1:
                _check_rows(weights, parts, part_rows(fields, parts, shapes[name][0]))
            yield name, _join(weights, parts, source.form, shapes[name], dtype)

    def store(self, tensors: Mapping[str, Tensor], fields: Fields) -> Iterator[tuple[str, Tensor]]:
        """Their tensors made of ours: the inverse of `load`."""
        sources = self.names(fields).sources(tensors, {self.names(fields).prefix: None})
        for name, source in sources.items():
            rows = part_rows(fields, source.parts, len(tensors[name]))
            whole = _KEPT[source.form](tensors[name])
            cuts = [whole] if len(source.parts) == 1 else list(torch.split(whole, rows))
            yield from zip(source.parts, cuts, strict=True)

    def _check_names(
        self, weights: Weights, present: dict[str, str], sources: dict[str, Source]
    ) -> None:
        """Find tensors that are missing, unknown, or said to be one and are not."""
        needed = {part for source in sources.values() for part in source.parts}
        for source in sources.values():
            for other in source.instead:
                found = present.pop(other, None)
                if found is not None:
                    present.setdefault(source.parts[0], found)
            others = [name for name in source.aliases if name in present and name not in needed]
            if others and source.parts[0] not in present:  # stored under another of its names
                present[source.parts[0]] = present[others[0]]
            for other in others:
                if not weights.equal(present[source.parts[0]], present.pop(other)):
                    raise CheckpointError(
                        f"{weights.folder}: {source.parts[0]} and {other} should be one matrix, "
                        "and differ"
                    )
        missing, unknown = needed - present.keys(), present.keys() - needed
        unknown = {n for n in unknown if not any(fnmatchcase(n, p) for p in self.ignored)}
        if missing or unknown:
            what = f"lack {min(missing)}" if missing else f"have {min(unknown)}, which is unknown"
            raise CheckpointError(
                f"the weights in {weights.folder} do not fit its config.json: they {what}"
            )


def _modern(name: str) -> str:
    """The name that a norm's tensor has today: some files still have TensorFlow's."""
    stem, _, end = name.rpartition(".")
    return f"{stem}.{ {'gamma': 'weight', 'beta': 'bias'}.get(end, end) }" if stem else name


# How a tensor of ours is kept in theirs, and taken from it.
_KEPT: dict[str, Callable[[Tensor], Tensor]] = {
    "": lambda tensor: tensor,
    "^T": Tensor.t,
    "^row": lambda tensor: tensor[None],
}
_TAKEN: dict[str, Callable[[Tensor], Tensor]] = {**_KEPT, "^row": lambda tensor: tensor[0]}


def _join(
    weights: Weights, names: list[str], form: str, shape: torch.Size, dtype: torch.dtype
) -> Tensor:
    """One tensor of ours: a view of the file where it can be, else one copy."""
    stored = [weights[name].shape for name in names]
    wanted = tuple(_KEPT[form](torch.empty(shape, device="meta")).shape)
    if _stacked(stored) != wanted:
        raise CheckpointError(
            f"the weights in {weights.folder} do not fit its config.json: {names[0]} is "
            f"{stored[0]}; wanted is {wanted}{' of all parts' if len(names) > 1 else ''}"
        )
    if len(names) == 1:
        copied = weights[names[0]].dtype != dtype
        return _TAKEN[form](weights.tensor(names[0], to_copy=copied).to(dtype))
    whole, start = torch.empty(shape, dtype=dtype), 0
    for name, part in zip(names, stored, strict=True):
        whole[start : start + part[0]].copy_(weights.tensor(name, to_copy=True))
        start += part[0]
    return whole


def _check_rows(weights: Weights, names: list[str], rows: list[int]) -> None:
    """Refuse parts that together have as many rows as ours, and each other rows than it should."""
    for name, wanted in zip(names, rows, strict=True):
        if weights[name].shape[:1] != (wanted,):
            raise CheckpointError(
                f"the weights in {weights.folder} do not fit its config.json: {name} is "
                f"{weights[name].shape}; wanted are {wanted} rows"
            )


def _stacked(stored: list[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape of tensors whose rows follow each other; the first's where they do not fit."""
    first = stored[0]
    same = all(len(shape) > 0 and shape[1:] == first[1:] for shape in stored)
    return (sum(shape[0] for shape in stored), *first[1:]) if same else first
