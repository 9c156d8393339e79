"""The tensors of a model folder: names and shapes from headers, data memory-mapped on demand."""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import torch
from torch import Tensor

from .errors import CheckpointError
from .json_io import read_json
from .links import refuse_external_links
from .pytorch_bin import unpickle
from .safetensors_io import WEIGHTS

INDEX = f"{WEIGHTS}.index.json"
PICKLE = "pytorch_model.bin"
PICKLE_INDEX = f"{PICKLE}.index.json"
WEIGHT_FILES = (WEIGHTS, INDEX, PICKLE, PICKLE_INDEX)  # the first that exists is used

SCALE = ".scale"  # ends the name of the scales of a matrix of int8, one for each row

MAX_HEADER_BYTES = 8 << 20
MAX_TENSORS = 100_000  # the largest models have a fiftieth

_LFS_POINTER = b"version https://git-lfs"
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


class Header(NamedTuple):
    """The metadata of a tensor, known before its data is read."""

    file: Path
    shape: tuple[int, ...]
    dtype: torch.dtype | None  # None: a type that this program does not read


class Weights(Mapping[str, Header]):
    """The headers and tensors of a folder by name, from the first of some files that exists.

    Raises CheckpointError for damaged files.
    """

    def __init__(self, folder: Path, names: Sequence[str] = WEIGHT_FILES) -> None:
        self.folder = folder
        self._pickled: dict[Path, dict[str, Tensor]] = {}
        self._open_files: dict[Path, Any] = {}  # safetensors files, mapped
        self._headers: dict[str, Header] = {}
        self._stored_names: Mapping[str, str] = {}  # of tensors that are named otherwise here
        self._scales: Mapping[str, Header] = {}  # by the names of what they scale
        for path in weight_files(folder, names):
            for name, header in self._read(path):
                if name in self._headers:
                    raise CheckpointError(f"{path} repeats {name}, which another shard has")
                self._headers[name] = header
            if len(self._headers) > MAX_TENSORS:
                raise CheckpointError(f"{folder} has more than {MAX_TENSORS:,} tensors")

    def __getitem__(self, name: str) -> Header:
        return self._headers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._headers)

    def __len__(self) -> int:
        return len(self._headers)

    @property
    def elements(self) -> int:
        """The total number of elements of all tensors."""
        return sum(math.prod(header.shape) for header in self._headers.values())

    def renamed(self, names: Mapping[str, str]) -> "Weights":
        """Return the same tensors under other names, by the names that they have here."""
        others = copy(self)
        others._headers = {}
        stored: dict[str, str] = {}
        for name, header in self._headers.items():
            if names[name] in stored:
                raise CheckpointError(
                    f"{self.folder}: {stored[names[name]]} and {name} are one tensor by their names"
                )
            others._headers[names[name]] = header
            stored[names[name]] = name
        others._stored_names = {
            name: self._stored_names.get(before, before) for name, before in stored.items()
        }
        return others

    @property
    def is_quantized(self) -> bool:
        """True if there are matrices of int8 with their scales."""
        return bool(self._scales)

    def with_scales(self) -> "Weights":
        """Return the same tensors, each matrix of int8 with its scales as one.

        These are in a tensor NAME.scale. Raises CheckpointError where there are none that fit.
        """
        others = copy(self)
        others._headers, scales = dict(self._headers), dict[str, Header]()
        for name, header in self._headers.items():
            if header.dtype == torch.int8:
                scale = others._headers.pop(f"{name}{SCALE}", None)
                scales[name] = _checked_scale(name, header, scale)
        others._scales = scales
        return others

    def as_stored(self, name: str) -> Tensor:
        """Return a tensor in the type that it has in its file, with a mapping of its own.

        A matrix of int8 is one of torch's quantized tensors, with its scales.
        """
        if name not in self._scales:
            return self._read_tensor(name, to_copy=True)
        return quantized_tensor(self._read_tensor(name, to_copy=True), self._read_scales(name))

    def tensor(self, name: str, *, to_copy: bool = False) -> Tensor:
        """Return a tensor as a view of its file: its data is read when it is used.

        With `to_copy`, it gets a mapping of its own, so that memory is freed with the tensor. A
        matrix of int8 that has scales is multiplied by them, in float32.
        """
        if name in self._scales:
            return self.integers(name) * self._read_scales(name)[:, None]
        header = self._headers[name]
        if header.dtype is None or not header.dtype.is_floating_point:
            raise CheckpointError(
                f"{header.file}: {self._stored_name(name)} is not of float32, float16, bfloat16 or "
                "float64; quantized weights are not supported"
            )
        return self._read_tensor(name, to_copy=to_copy)

    def integers(self, name: str) -> Tensor:
        """Return a copy of a tensor that is no weight: of whole numbers, or of truth values."""
        return self._read_tensor(name, to_copy=True)

    def _read_scales(self, name: str) -> Tensor:
        """Return the scales of a matrix's rows. Raises CheckpointError for what is no scale."""
        scale = f"{name}{SCALE}"
        scales_R = self._read_file(self._scales[name].file, scale, to_copy=True)
        if not ((scales_R >= 0) & (scales_R * 128).isfinite()).all():
            raise CheckpointError(
                f"{self._scales[name].file}: {scale} has numbers that are no scales; these are "
                "not below 0, and their products finite: the file is damaged"
            )
        return scales_R

    def _stored_name(self, name: str) -> str:
        return self._stored_names.get(name, name)

    def _read_tensor(self, name: str, *, to_copy: bool) -> Tensor:
        return self._read_file(self._headers[name].file, self._stored_name(name), to_copy=to_copy)

    def _read_file(self, path: Path, name: str, *, to_copy: bool) -> Tensor:
        if path in self._pickled:
            return self._pickled[path][name]
        file = None if to_copy else self._open_files.get(path)
        if file is None:
            file = safetensors.safe_open(path, framework="pt")
            if not to_copy:
                self._open_files[path] = file
        tensor: Tensor = file.get_tensor(name)
        return tensor

    def equal_values(self, first: str, second: str) -> bool:
        """Return True if two tensors have equal elements."""
        same = self[first][1:] == self[second][1:]  # shape and dtype
        return same and torch.equal(self.tensor(first), self.tensor(second))

    def _read(self, path: Path) -> Iterator[tuple[str, Header]]:
        _refuse_lfs_pointer(path)
        return _READERS[path.suffix](self, path)

    def _safetensors(self, path: Path) -> Iterator[tuple[str, Header]]:
        _check_header_size(path)
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 (no mapping)
                    part = file.get_slice(name)
                    dtype = _DTYPES.get(part.get_dtype())
                    yield name, Header(path, tuple(part.get_shape()), dtype)
        except (safetensors.SafetensorError, OSError, ValueError, MemoryError) as error:
            raise CheckpointError(f"{path} cannot be read: {error}") from None

    def _pickle(self, path: Path) -> Iterator[tuple[str, Header]]:
        state = unpickle(path)
        self._pickled[path] = state
        for name, tensor in state.items():
            dtype = tensor.dtype if tensor.dtype in _DTYPES.values() else None
            yield name, Header(path, tuple(tensor.shape), dtype)


class Tensors(dict[str, Tensor]):
    """Named tensors in memory."""

    def equal_values(self, first: str, second: str) -> bool:
        """Return True if two tensors have equal elements."""
        return torch.equal(self[first], self[second])


def quantized_tensor(integers_RC: Tensor, scales_R: Tensor) -> Tensor:
    """Return a matrix of int8 with a scale for each row as one of torch's quantized tensors."""
    zeros_R = torch.zeros(len(scales_R), dtype=torch.long)
    with warnings.catch_warnings():  # of torch's plan to remove such tensors
        warnings.simplefilter("ignore", UserWarning)
        return torch._make_per_channel_quantized_tensor(integers_RC, scales_R.double(), zeros_R, 0)


_READERS = {".safetensors": Weights._safetensors, ".bin": Weights._pickle}


def weight_files(folder: Path, names: Sequence[str] = WEIGHT_FILES) -> list[Path]:
    """Return the files that hold a folder's tensors, each checked to be inside the folder.

    The first of the names that exists is that of the file, or of an index of several.
    """
    for name in names:
        path = folder / name
        if path.is_file() or path.is_symlink():
            if name in {INDEX, PICKLE_INDEX}:
                return [_checked_path(folder, shard, name) for shard in _shards(path)]
            return [_checked_path(folder, name, name)]
    raise CheckpointError(f"{folder} has no weights; looked for: {', '.join(names)}")


def _shards(index: Path) -> list[str]:
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(n, str) for n in names.values()):
        raise CheckpointError(f"{index} has no weight_map of tensors to files")
    return sorted(set(names.values()))


def _checked_path(folder: Path, name: str, source: str) -> Path:
    """Return the path of a file of weights. Raises CheckpointError if it is outside the folder."""
    path = folder / name
    is_file_name = Path(name).name == name and len(name) <= 255 and not set("\\\0") & set(name)
    if not is_file_name or path.suffix not in _READERS:
        shown = repr(name if len(name) <= 60 else f"{name[:60]}…")
        raise CheckpointError(f"{folder / source} names {shown}, which is no file of weights in it")
    refuse_external_links(folder, [name])
    if not path.is_file():
        raise CheckpointError(f"{folder} is incomplete: {name} is missing")
    return path


def _checked_scale(name: str, matrix: Header, scale: Header | None) -> Header:
    """Return the scales of a matrix. Raises CheckpointError unless each row has one in float32."""
    if scale is None:
        found = "there is none"
    elif len(matrix.shape) == 2 and scale[1:] == (matrix.shape[:1], torch.float32):
        return scale
    else:
        kind = "of an unread type" if scale.dtype is None else str(scale.dtype)
        found = f"that is {scale.shape} in {kind.removeprefix('torch.')}"
    raise CheckpointError(
        f"{matrix.file}: {name} is {matrix.shape} in int8, which needs float32 scales of its rows "
        f"in {name}{SCALE}, and {found}"
    )


def _refuse_lfs_pointer(path: Path) -> None:
    with path.open("rb") as stream:
        if stream.read(len(_LFS_POINTER)) == _LFS_POINTER:
            raise CheckpointError(
                f"{path} is a Git LFS pointer, not the file itself: fetch it with `git lfs pull`"
            )


def _check_header_size(path: Path) -> None:
    """Raise CheckpointError for a header so large that reading it would fill the memory."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
    if length > MAX_HEADER_BYTES:
        raise CheckpointError(
            f"{path} cannot be read: its header is said to have {length:,} bytes; "
            f"at most {MAX_HEADER_BYTES:,} are read"
        )
