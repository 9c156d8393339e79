"""Tensors from pickle files, without running code and within bounds of memory."""

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

MAX_PICKLE_BYTES = 4 << 20  # without the tensors' data: some 100 bytes per tensor
MAX_OPCODES = 250_000  # of the pickle machine: some 30 per tensor
_UNPICKLER_ERROR = re.compile(r"WeightsUnpickler error: *([^\n]+)")
_ADVICE = re.compile(r" was not an allowed global by default.*| Please use .*")


def unpickle(path: Path) -> dict[str, Tensor]:
    """Return the named tensors of a file that torch.save wrote, with torch's restricted unpickler.

    Raises CheckpointError for anything else, and for tensors larger than what the file holds.
    """
    try:
        _check_opcode_count(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            state: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except Exception as error:
        raise CheckpointError(
            f"{path} cannot be read as plain tensors, and nothing else is read from a pickle: "
            f"{_reason(error)}"
        ) from None
    is_state_dict = isinstance(state, dict) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    )
    if not is_state_dict:
        raise CheckpointError(f"{path} holds no dictionary of tensors by name{_contents(state)}")
    for name, tensor in state.items():
        if not _is_plain(tensor):
            raise CheckpointError(
                f"{path}: {name} is no dense tensor with all of its data in the file"
            )
    return dict(state)


def _contents(state: Any) -> str:
    """Return what the state of a training program holds, as an addition to a message."""
    if not isinstance(state, dict):
        return ""
    nested = any(isinstance(value, dict) for value in state.values())
    keys = ", ".join(ascii(key)[1:31].removesuffix("'") for key in list(state)[:5])
    advice = ": a training checkpoint, of which only the model's state_dict is read if saved alone"
    return f"; it has {keys}{advice if nested else ''}"


def _is_plain(tensor: Tensor) -> bool:
    """Return True for a dense tensor on the CPU whose elements are all stored, none repeated."""
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        return False
    return tensor.nbytes <= tensor.untyped_storage().nbytes()


def _check_opcode_count(path: Path) -> None:
    """Raise ValueError if a pickle has too many opcodes, before any is executed."""
    stream, opcodes = io.BytesIO(_pickle_bytes(path)), 0
    # The old format has five: magic number, version, system information, tensors, keys.
    pickles = 1 if _is_zip(path) else 5
    for _ in range(pickles):
        for _ in pickletools.genops(stream):
            opcodes += 1
            if opcodes > MAX_OPCODES:
                raise ValueError(f"it takes more than {MAX_OPCODES:,} steps to read")


def _pickle_bytes(path: Path) -> bytes:
    """Return the pickle of a file: a zip archive's data.pkl, or the old format's beginning."""
    if not _is_zip(path):
        with path.open("rb") as stream:
            return stream.read(MAX_PICKLE_BYTES)
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if any(file.compress_type != zipfile.ZIP_STORED for file in members):
            raise ValueError("it is a compressed archive, which torch.save does not write")
        pickle_member = next(
            (file for file in members if file.filename.endswith("/data.pkl")), None
        )
        if pickle_member is None:
            raise ValueError("it is an archive without a data.pkl")
        if pickle_member.file_size > MAX_PICKLE_BYTES:
            raise ValueError(f"its data.pkl has {pickle_member.file_size:,} bytes")
        return archive.read(pickle_member)


def _is_zip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == b"PK"


def _reason(error: Exception) -> str:
    """Return torch's reason for refusing a file, without its advice on running the code anyway."""
    text = str(error).strip()
    match = _UNPICKLER_ERROR.search(text)
    line = match[1] if match else (text.splitlines() or [type(error).__name__])[0]
    return _ADVICE.sub("", line)[:150]
