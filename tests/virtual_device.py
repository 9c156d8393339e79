"""A stand-in for CUDA on a machine without it, which sees what a GPU would have to wait for.

Tensors are the CPU's; those that were put on "cuda", or computed from such, are tagged. The host
waits for a GPU where it reads from it (`reads`), and where it sends what is not said to be
non_blocking (`uploads`). Only the thread that enters is watched.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.overrides import TorchFunctionMode

# What needs the numbers themselves: as Python's, or to know how long the result is.
_READS = {
    "item", "tolist", "numpy", "cpu", "equal", "allclose", "is_nonzero", "__array__", "__bool__",
    "__int__", "__float__", "__complex__", "__index__", "__contains__", "__repr__", "__format__",
    "tensor", "nonzero", "argwhere", "masked_select", "unique", "unique_consecutive", "bincount",
}  # fmt: skip
_UPLOADS = {"tensor", "new_tensor", "as_tensor"}  # of Python's numbers
_MAY_MIX = {"copy_", "to", "_has_compatible_shallow_copy_type"}
_INDEXING = {"__getitem__", "__setitem__", "index_put", "index_put_"}
_TORCH = str(Path(torch.__file__).parent)


class MixedDevicesError(RuntimeError):
    """Tensors of the host and of the device in one operation."""


def on_device(tensor: Tensor) -> bool:
    """Return True for a tensor that is on the virtual device."""
    return getattr(tensor, "_on_device", False)


class VirtualDevice(TorchFunctionMode):
    """Watches torch's functions; `virtual_device` also answers for torch below Python."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: Counter[str] = Counter()  # by the line that asked
        self.uploads: Counter[str] = Counter()

    def __torch_function__(
        self, func: Callable[..., Any], _types: object, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        name, kwargs = func.__name__, kwargs or {}
        if name in {"__get__", "__set__"}:
            return _attribute(func, *args)
        inputs = _tensors(args)
        if kwargs:
            inputs += _tensors(kwargs.values())
        there = any(map(on_device, inputs))
        target = _target(name, args, kwargs)
        if there and _mixes(name, args, inputs):
            raise MixedDevicesError(f"{name} mixes devices at {_asking_line()}")
        if there and _reads(name, args, kwargs, target):
            self.reads[_asking_line()] += 1
        elif _uploads(name, args, kwargs, there, target):
            self.uploads[_asking_line()] += 1
        if target is not None:
            args = ["cpu" if isinstance(each, torch.device | str) else each for each in args]
            kwargs = {**kwargs, "device": "cpu"} if "device" in kwargs else kwargs
        found = func(*args, **kwargs)
        on = target == "cuda" if target else there and name != "cpu"
        if name == "copy_":
            return found
        if any(found is each and on_device(each) != on for each in inputs):
            found = found.clone()  # a move that is none on the CPU
        return _tagged(found, on)


def _tensors(nested: Iterable[Any]) -> list[Tensor]:
    """The tensors of nested lists and tuples; a loop, for it runs a million times."""
    found = []
    for each in nested:
        if isinstance(each, Tensor):
            found.append(each)
        elif isinstance(each, tuple | list):
            found += _tensors(each)
    return found


def _leaves(nested: Any) -> Iterator[Any]:
    for each in nested:
        if isinstance(each, tuple | list):
            yield from _leaves(each)
        else:
            yield each


def _tagged(found: Any, on: bool) -> Any:
    for each in _tensors((found,)):
        each._on_device = on  # type: ignore[attr-defined]
    return found


def _asking_line() -> str:
    """The innermost line that is neither torch's nor this file's."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename.startswith((_TORCH, __file__)):
        frame = frame.f_back
    return f"{'/'.join(Path(frame.f_code.co_filename).parts[-2:])}:{frame.f_lineno}"


def _attribute(func: Any, tensor: Tensor, *value: Any) -> Any:
    """Read or set one; a module moves its parameters by setting their data."""
    if func == Tensor.device.__get__:  # type: ignore[attr-defined]
        return torch.device("cuda" if on_device(tensor) else "cpu")
    if func == Tensor.data.__set__:  # type: ignore[attr-defined]
        _tagged(tensor, on_device(value[0]))
    return _tagged(func(tensor, *value), on_device(tensor))


def _target(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> str | None:
    """The kind of device that is asked for, if any is."""
    if name == "cuda":
        return name
    if name == "_parse_to":  # a module's, which then moves its tensors
        return None
    asked = [kwargs.get("device"), *(each for each in args if isinstance(each, torch.device))]
    if name == "to":
        asked += [each for each in args[1:] if isinstance(each, str)]
        asked += ["cuda" if on_device(x) else "cpu" for x in args[1:] if isinstance(x, Tensor)]
    return next((torch.device(each).type for each in asked if each is not None), None)


def _mixes(name: str, args: Sequence[Any], inputs: Sequence[Tensor]) -> bool:
    """Return True where CUDA would refuse. Indices may be the host's, and so may numbers of no
    dimension, unless they are written to."""
    if name in _MAY_MIX or (name in _INDEXING and on_device(args[0])):
        return False
    writes = name.startswith("__i") or (name.endswith("_") and not name.startswith("__"))
    if writes and not on_device(inputs[0]):
        return True
    return any(each.dim() and not on_device(each) for each in inputs)


def _reads(name: str, args: Sequence[Any], kwargs: dict[str, Any], target: str | None) -> bool:
    if name == "copy_":
        return not on_device(args[0]) and not kwargs.get("non_blocking")
    if name == "repeat_interleave":
        counted = len(args) == 1 or isinstance(args[1], Tensor)
        return counted and kwargs.get("output_size") is None
    if name in _INDEXING:  # a mask of what becomes one number needs no count
        several = name == "__getitem__" or (isinstance(args[2], Tensor) and args[2].dim() > 0)
        return several and any(getattr(x, "dtype", 0) == torch.bool for x in _leaves(args[1:2]))
    return name in _READS or (name == "to" and target == "cpu") or (name, len(args)) == ("where", 1)


def _uploads(name: str, args: Sequence[Any], kwargs: Any, there: bool, target: str | None) -> bool:
    if name == "copy_":
        return on_device(args[0]) and not on_device(args[1]) and not kwargs.get("non_blocking")
    if name == "to":
        return target == "cuda" and not on_device(args[0]) and not kwargs.get("non_blocking")
    if name in _INDEXING:  # with the host's tensors, or lists, which become such
        parts = args[1] if isinstance(args[1], tuple) else args[1:2]
        host = (isinstance(each, Tensor) and not on_device(each) for each in parts)
        return there and (any(host) or any(isinstance(each, list) for each in parts))
    return name in _UPLOADS and (target == "cuda" or (there and target is None))


@contextmanager
def virtual_device() -> Iterator[VirtualDevice]:
    """Let "cuda" be the virtual device, for this thread."""
    group, engine = torch._C._group_tensors_by_device_and_dtype, torch.autograd._engine_run_backward
    apply = BackwardCFunction.apply
    device, mapped = VirtualDevice(), ("autocast", "is_autocast_enabled", "get_autocast_dtype")

    def backward(*args: Any, **options: Any) -> Any:
        with device:  # functions in Python are watched; within a function modes rest
            return engine(*args, **options)

    def of_function(self: Any, *gradients: Any) -> Any:
        # they come without a tag: they are where the tensors are that the function saved
        return apply(self, *_tagged(gradients, any(map(on_device, self.saved_tensors))))

    def grouped(lists: Any, with_indices: bool = False) -> Any:
        first = next(tensor for tensor in lists[0] if tensor is not None)
        return {(first.device, key[1]): v for key, v in group(lists, with_indices).items()}

    def on_cpu(plain: Any) -> Any:
        return lambda kind, **options: plain(kind.replace("cuda", "cpu"), **options)

    with (
        mock.patch("torch.autograd._engine_run_backward", backward),
        mock.patch.object(BackwardCFunction, "apply", of_function),
        mock.patch("torch._C._group_tensors_by_device_and_dtype", grouped),
        mock.patch.multiple(torch, **{name: on_cpu(getattr(torch, name)) for name in mapped}),
        device,
    ):
        yield device
