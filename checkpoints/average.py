"""The mean of the weights of several checkpoints."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from .errors import CheckpointError
from .weights import Weights


def average_weights(folders: Sequence[Path]) -> dict[str, Tensor]:
    """Return the mean of the folders' weights, summed in float64, one folder in memory at a time.

    Tensors of whole numbers, such as positions, are the first folder's. Raises CheckpointError if
    a tensor is missing or has another name, kind or shape than in the first folder, or holds other
    whole numbers.
    """
    if not folders:
        raise CheckpointError("there is nothing to average")
    first = Weights(folders[0])
    names = _averaged(first)
    integers = {name: first.integers(name) for name in first.keys() - names}
    total = {name: first.tensor(name, to_copy=True).to(torch.float64) for name in names}
    for folder in folders[1:]:
        weights = Weights(folder)
        differing = (weights.keys() ^ first.keys()) | (_averaged(weights) ^ names)
        differing |= {n for n in names - differing if weights[n].shape != first[n].shape}
        differing |= {
            n
            for n in integers.keys() - differing
            if not torch.equal(weights.integers(n), integers[n])
        }
        if differing:
            raise CheckpointError(
                f"{folder} is another model than {folders[0]}: {min(differing)} differs"
            )
        for name in names:
            total[name] += weights.tensor(name, to_copy=True)
    mean = {name: (t / len(folders)).to(first[name].dtype) for name, t in total.items()}
    return {name: mean[name] if name in mean else integers[name] for name in first}


def _averaged(weights: Weights) -> set[str]:
    """Return the names of all tensors but those of whole numbers, such as positions."""
    dtypes = {name: header.dtype for name, header in weights.items()}
    return {name for name, t in dtypes.items() if t is None or t.is_floating_point}
