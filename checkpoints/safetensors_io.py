"""Tensors in safetensors files."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from .errors import CheckpointError

WEIGHTS = "model.safetensors"
_OS_ERROR = re.compile(r"\(os error (\d+)\)")  # as Rust writes it


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file. Raises OSError, as for a full disk."""
    contiguous = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    try:
        safetensors.torch.save_file(contiguous, path, metadata={"format": "pt"})
    except safetensors.SafetensorError as error:
        number = _OS_ERROR.search(str(error))
        if number is None:
            raise
        code = int(number[1])
        raise OSError(code, os.strerror(code), str(path)) from None


def load_tensors(path: Path, *, device: str = "cpu") -> dict[str, Tensor]:
    """Read a safetensors file as memory-mapped tensors. Raises CheckpointError."""
    try:
        return safetensors.torch.load_file(path, device=device)
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from None
