"""Modules that an adapter keeps whole (`modules_to_save`), such as a classifier's head."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..config import TransformerConfig
from ..errors import ConfigError
from ..families import Family
from ..families.forms import FORMS
from ..families.name_map import part_rows
from ..model import Transformer
from ..registry import either, likely_names

UPDATES = ".updates."  # in our names of an adapter's own parameters
HEAD = "head."  # with which the names of a head's weights begin
_EMBEDDING = "embedding.weight"
_READS_EMBEDDING = ("linear", "masked")  # heads whose output is the embedding, if tied


class PublishedTensor(NamedTuple):
    """A published tensor, and the rows of ours that it is."""

    name: str
    ours: str
    start: int
    stop: int
    form: str
    head_width: int
    shape: tuple[int, ...]  # of the published one

    def extract(self, ours: Tensor) -> Tensor:
        """Return the published tensor."""
        return FORMS[self.form].to_published(ours[self.start : self.stop], self.head_width)

    def insert(self, ours: Tensor, value: Tensor) -> Tensor:
        """Return our tensor with the published one in it."""
        changed = torch.empty_like(ours, device=value.device) if ours.is_meta else ours.clone()
        own = FORMS[self.form].from_published(value, self.head_width)
        changed[self.start : self.stop] = own.to(changed)
        return changed


def published_tensors(model: Transformer, family: Family) -> Iterator[PublishedTensor]:
    """Yield the published tensors that a model consists of, its adapter left out.

    A head over labels has our names where its family has none with the same parts.
    """
    state = {name: tensor for name, tensor in model.state_dict().items() if UPDATES not in name}
    width = model.config.head_width
    if model.config.labels and not family.has_label_head_of(model.config):
        for name in [name for name in state if name.startswith(HEAD)]:
            shape = tuple(state.pop(name).shape)
            yield PublishedTensor(name, name, 0, shape[0], "", width, shape)
    names = family.names(model.config)
    for ours, source in names.sources(state, {names.prefix: None}).items():
        tensor = state[ours]
        start = 0
        rows = part_rows(model.config, source.parts, len(tensor))
        for name, form, size in zip(source.parts, source.forms, rows, strict=True):
            part = torch.empty((size, *tensor.shape[1:]), device="meta")
            shape = tuple(FORMS[form].to_published(part, width).shape)
            yield PublishedTensor(name, ours, start, start + size, form, width, shape)
            start += size


def select_saved(model: Transformer, family: Family, modules: Sequence[str]) -> set[str]:
    """Return our names of the parameters in modules, which have published names or ours.

    Raises ConfigError for a module that does not exist, and for an embedding that is tied.
    """
    tensors = list(published_tensors(model, family))
    selected: set[str] = set()
    for module in modules:
        names = {
            each.ours
            for each in tensors
            if f".{module}." in f".{each.name}" or f".{module}." in f".{each.ours}"
        }
        if not names:
            known = {part for each in tensors for part in each.name.split(".")[:-1]}
            likely = likely_names(module, known)
            hint = f"; did you mean {either(likely)}?" if likely else ""
            raise ConfigError(
                f"adapter.modules_to_save has {module!r}, and the model has no such module{hint}"
            )
        selected |= names
    for name in selected:
        refuse_tied(name, model.config, "adapter.modules_to_save has the embedding")
    return selected


def refuse_tied(name: str, config: TransformerConfig, what: str) -> None:
    """Raise ConfigError for an embedding that is the output, too, as PEFT would part them."""
    if name == _EMBEDDING and config.tie_output and config.head in _READS_EMBEDDING:
        raise ConfigError(f"{what}, which is the output matrix too (tied): that is not supported")


@torch.no_grad()
def insert_saved(model: Transformer, saved: Sequence[tuple[PublishedTensor, Tensor]]) -> None:
    """Put tensors that an adapter has whole into a model, in place of views of its file."""
    state = model.state_dict()
    for tensor, value in saved:
        state[tensor.ours] = tensor.insert(state[tensor.ours], value)
    changed = {tensor.ours: state[tensor.ours] for tensor, _ in saved}
    model.load_state_dict(changed, strict=False, assign=True)
