"""Loading of models for inference alone: number types, and the kernels that go with them."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch

from tokenizer.quantities import format_count

from ..errors import ConfigError
from ..kernels import (
    EXACT,
    LINEAR_KERNELS,
    bind_calls,
    is_usable,
    kernel_speeds,
    pack_model,
)
from ..memory import release_freed_memory
from ..registry import Registry
from .int8_folder import INT8
from .load import LoadedModel, choose_device, load_opened, open_model

_FASTER = 1.1  # times as fast as float32: less is within the noise of a short measurement


class NumberType(NamedTuple):
    """A number type of weights: what they are loaded as, and a kernel of matrices on a CPU.

    `needs_kernel`: it is nothing without its kernel, so that it is for a CPU alone. `is_choice`: it
    stands for the type that is chosen for the machine.
    """

    dtype: torch.dtype
    kernel: str | None = None
    needs_kernel: bool = False
    is_choice: bool = False


DTYPES: Registry[NumberType] = Registry(
    "dtype",
    {
        "auto": NumberType(torch.float32, is_choice=True),
        "float32": NumberType(torch.float32, "onednn"),
        "bfloat16": NumberType(torch.bfloat16),
        "float16": NumberType(torch.float32, "float16", needs_kernel=True),
        INT8: NumberType(torch.float32, "int8", needs_kernel=True),
    },
)


def load_for_inference(
    path: Path,
    *,
    device: str = "auto",
    dtype: str | None = None,
    trust_cache: bool = True,
    adapter: Path | None = None,
) -> LoadedModel:
    """Load a model or run folder as load_model does, for inference and nothing else.

    On a CPU its matrices are laid out for the kernel of the number type, if it has one. Without a
    `dtype` that is float32, or int8 for a folder in int8. Raises UnknownNameError, and ConfigError
    for a type that the device does not have, too.
    """
    if dtype is not None:
        DTYPES.check(dtype)
    target = choose_device(device)
    kind = target.type
    if dtype is not None and DTYPES[dtype].needs_kernel and kind != "cpu":
        raise ConfigError(
            f"dtype {dtype} is for a CPU, and the device is {kind}: take the dtype bfloat16, or "
            "the device cpu"
        )
    opened = open_model(path, trust_cache=trust_cache, adapter=adapter)
    dtype, reason = _resolved(dtype, kind, is_quantized=opened.contents.is_quantized)
    number_type = DTYPES[dtype]
    as_stored = dtype == INT8 and opened.contents.is_quantized and is_usable(INT8)
    loaded = load_opened(
        opened,
        device=target,
        dtype=number_type.dtype,
        as_stored=as_stored and opened.adapter is None,
    )
    if reason:
        loaded = _with_notice(loaded, reason)
    if kind == "cpu" and number_type.kernel is not None:
        loaded = _in_kernel(loaded, dtype, number_type)
    bind_calls(loaded.model)
    return loaded if loaded.number_type else replace(loaded, number_type=dtype)


def _resolved(dtype: str | None, kind: str, *, is_quantized: bool) -> tuple[str, str]:
    """Return the number type of a folder on a kind of device, and the reason for a choice."""
    own = INT8 if is_quantized and kind == "cpu" else None
    if dtype is None:
        return own or "float32", ""
    if not DTYPES[dtype].is_choice:
        return dtype, ""
    return (own, f"dtype auto is {own}, as the folder is") if own else choose_dtype(kind)


def choose_dtype(device: str) -> tuple[str, str]:
    """Return the number type that `auto` stands for on a kind of device, and the reason.

    That is bfloat16 on a GPU that computes in it, and on a CPU the one with the fastest kernel of
    those that nearly always give float32's text: int8 must be asked for.
    """
    if device == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bfloat16", "dtype auto is bfloat16, in which this GPU computes"
        return "float32", "dtype auto is float32: this GPU does not compute in bfloat16"
    base = DTYPES["float32"].kernel
    assert base is not None
    speeds = kernel_speeds(base)
    exact = {
        name: speeds[each.kernel]
        for name, each in DTYPES.items()
        if each.kernel is not None
        and each.kernel in speeds
        and LINEAR_KERNELS[each.kernel].error <= EXACT
    }
    name = max(exact, key=lambda each: exact[each], default="float32")
    if name == "float32" or exact[name] < _FASTER:
        return "float32", "dtype auto is float32: no other was measured to be faster here"
    return name, (
        f"dtype auto is {name}: products of large matrices were measured {exact[name]:.1f} times "
        "as fast here as in float32"
    )


def _in_kernel(loaded: LoadedModel, dtype: str, number_type: NumberType) -> LoadedModel:
    """Lay out a model's matrices for the kernel of a type, or say that the machine has none."""
    assert number_type.kernel is not None
    if not is_usable(number_type.kernel):
        if not number_type.needs_kernel:
            return loaded
        notice = f"this machine has no kernel for {dtype}: float32 is used"
        return _with_notice(replace(loaded, number_type="float32"), notice)
    left = pack_model(loaded.model, LINEAR_KERNELS[number_type.kernel])
    release_freed_memory()  # of the weights that were let go
    if not left:
        return loaded
    maps = format_count(left, "matrix", "matrices")
    return _with_notice(loaded, f"{maps} with numbers beyond {dtype} stay in float32")


def _with_notice(loaded: LoadedModel, text: str) -> LoadedModel:
    return replace(loaded, notices=(*loaded.notices, text))
