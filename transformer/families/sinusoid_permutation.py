"""Sinusoidal positions in another order: features of the whole network, permuted.

Networks do not mind in which order the features of their residual stream stand, so a model whose
sines and cosines alternate is, permuted, one that has all sines first, as published ones do.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase

import torch
from torch import Tensor

from .config_reader import Fields

# Which axes of a tensor run along the residual stream; the first pattern that fits counts.
_AXES = (
    ("*embedding.weight", (1,)),
    ("types.weight", (1,)),
    ("head.weight", (1,)),
    ("head.bias", ()),
    ("head.dense.weight", (0, 1)),
    ("*.out.weight", (0,)),
    ("*.down.weight", (0,)),
    ("*.weight", (1,)),  # what reads the stream; norms have one axis
    ("*.qkv.bias", ()),
    ("*.q.bias", ()),
    ("*.kv.bias", ()),
    ("*.up.bias", ()),
    ("*.bias", (0,)),
)


def sines_first(tensors: Mapping[str, Tensor], fields: Fields) -> tuple[dict[str, Tensor], Fields]:
    """The same network with its waves in halves, and its fields. Needs an even d_model."""
    width = fields["d_model"]
    order = torch.cat([torch.arange(0, width, 2), torch.arange(1, width, 2)])
    moved = {name: _permuted(name, tensor, order) for name, tensor in tensors.items()}
    return moved, {**fields, "positions": "sinusoidal-halves"}


def _permuted(name: str, tensor: Tensor, order: Tensor) -> Tensor:
    axes = next(axes for pattern, axes in _AXES if fnmatchcase(name, pattern))
    for axis in axes:
        tensor = tensor.index_select(min(axis, tensor.dim() - 1), order)
    return tensor
