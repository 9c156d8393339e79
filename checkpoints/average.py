"""The mean of the weights of several checkpoints."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from .errors import CheckpointError
from .safetensors_io import WEIGHTS, load_tensors


def average_weights(folders: Sequence[Path]) -> dict[str, Tensor]:
    """Return the mean of the folders' weights, summed in float64, one folder in memory at a time.

    Raises CheckpointError if a tensor has another name or shape than in the first folder.
    """
    if not folders:
        raise CheckpointError("there is nothing to average")
    first = load_tensors(folders[0] / WEIGHTS)
    total = {name: tensor.to(torch.float64) for name, tensor in first.items()}
    for folder in folders[1:]:
        weights = load_tensors(folder / WEIGHTS)
        differing = weights.keys() ^ total.keys()
        differing |= {n for n in weights.keys() & total if weights[n].shape != total[n].shape}
        if differing:
            raise CheckpointError(
                f"{folder} is another model than {folders[0]}: {min(differing)} differs"
            )
        for name, tensor in weights.items():
            total[name] += tensor
    return {name: (t / len(folders)).to(first[name].dtype) for name, t in total.items()}
