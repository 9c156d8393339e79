"""Tensors from a pickle, of which nothing is run, and which is small beside its tensors."""

import io
import pickletools
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .errors import CheckpointError

MAX_PICKLE_BYTES = 4 << 20  # without the tensors' numbers: some hundred bytes a tensor
MAX_STEPS = 250_000  # of the pickle's own machine, some thirty a tensor
_REASON = re.compile(r"WeightsUnpickler error: *([^\n]+)")
_NO_ADVICE = re.compile(r" was not an allowed global by default.*| Please use .*")


def unpickle(path: Path) -> dict[str, Tensor]:
    """The tensors by name of a file that torch.save wrote, through torch's restricted reader.

    Raises CheckpointError for anything else, and for a file that asks for more than it holds.
    """
    try:
        _check_steps(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            state: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except Exception as error:
        raise CheckpointError(
            f"{path} cannot be read as plain tensors, and nothing else is read from a pickle: "
            f"{_reason(error)}"
        ) from None
    good = isinstance(state, dict) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    )
    if not good:
        raise CheckpointError(f"{path} holds no dictionary of tensors by name")
    for name, tensor in state.items():
        if not _is_plain(tensor):
            raise CheckpointError(f"{path}: {name} has other numbers than the file holds")
    return dict(state)


def _is_plain(tensor: Tensor) -> bool:
    """Whether each number of a tensor is one of the file's, and not a few said to be many."""
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        return False
    return tensor.nbytes <= tensor.untyped_storage().nbytes()


def _check_steps(path: Path) -> None:
    """Count a pickle's steps before any is taken."""
    stream, steps = io.BytesIO(_instructions(path)), 0
    pickles = 1 if _is_zip(path) else 5  # the old format: who wrote it, the tensors, their keys
    for _ in range(pickles):
        for _ in pickletools.genops(stream):
            steps += 1
            if steps > MAX_STEPS:
                raise ValueError(f"it takes more than {MAX_STEPS:,} steps to read")


def _instructions(path: Path) -> bytes:
    if not _is_zip(path):
        with path.open("rb") as stream:
            return stream.read(MAX_PICKLE_BYTES)
    with zipfile.ZipFile(path) as archive:
        files = archive.infolist()
        if any(file.compress_type != zipfile.ZIP_STORED for file in files):
            raise ValueError("it is a compressed archive, which torch.save does not write")
        inner = next((file for file in files if file.filename.endswith("/data.pkl")), None)
        if inner is None:
            raise ValueError("it is an archive without a data.pkl")
        if inner.file_size > MAX_PICKLE_BYTES:
            raise ValueError(f"its data.pkl has {inner.file_size:,} bytes")
        return archive.read(inner)


def _is_zip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == b"PK"


def _reason(error: Exception) -> str:
    """What torch found wrong, without its advice on how to run the code all the same."""
    text = str(error).strip()
    found = _REASON.search(text)
    line = found[1] if found else (text.splitlines() or [type(error).__name__])[0]
    return _NO_ADVICE.sub("", line)[:150]
