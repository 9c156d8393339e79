"""Tensors in safetensors files."""

from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from .errors import CheckpointError

WEIGHTS = "model.safetensors"


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file."""
    contiguous = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    safetensors.torch.save_file(contiguous, path, metadata={"format": "pt"})


def load_tensors(path: Path, *, device: str = "cpu") -> dict[str, Tensor]:
    """Read a safetensors file as memory-mapped tensors. Raises CheckpointError."""
    try:
        return safetensors.torch.load_file(path, device=device)
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from None
