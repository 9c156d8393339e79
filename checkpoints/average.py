"""The mean of the weights of several checkpoints."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from .errors import CheckpointError
from .weights import Weights

_WHOLE = {torch.int64, torch.int32, torch.bool}


def average_weights(folders: Sequence[Path]) -> dict[str, Tensor]:
    """Return the mean of the folders' weights, summed in float64, one folder in memory at a time.

    Raises CheckpointError if a tensor has another name or shape than in the first folder.
    """
    if not folders:
        raise CheckpointError("there is nothing to average")
    first = Weights(folders[0])
    names = _floating(first)
    total = {name: first.tensor(name, to_copy=True).to(torch.float64) for name in names}
    for folder in folders[1:]:
        weights = Weights(folder)
        differing = _floating(weights) ^ names
        differing |= {n for n in names - differing if weights[n].shape != first[n].shape}
        if differing:
            raise CheckpointError(
                f"{folder} is another model than {folders[0]}: {min(differing)} differs"
            )
        for name in names:
            total[name] += weights.tensor(name, to_copy=True)
    return {name: (t / len(folders)).to(first[name].dtype) for name, t in total.items()}


def _floating(weights: Weights) -> set[str]:
    """Return the names of all tensors but those of whole numbers, such as positions."""
    return {name for name, header in weights.items() if header.dtype not in _WHOLE}
