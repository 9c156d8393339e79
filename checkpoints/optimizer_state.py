"""The state of an optimizer as named tensors, without pickle."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from .errors import CheckpointError


def flatten_optimizer(state: Mapping[int, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Turn `{3: {"exp_avg": t}}` into `{"3.exp_avg": t}`."""
    return {f"{index}.{key}": t for index, entry in state.items() for key, t in entry.items()}


def unflatten_optimizer(tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Any]]:
    """Invert `flatten_optimizer`. Raises CheckpointError for names of another form."""
    state: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        index, _, key = name.partition(".")
        if not index.isdecimal() or not key:
            raise CheckpointError(f"{name!r} is no tensor of an optimizer's state")
        state.setdefault(int(index), {})[key] = tensor
    return state
