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
    has_large_matrices,
    is_usable,
    kernel_speeds,
    pack_model,
)
from ..memory import release_freed_memory
from ..model import Transformer
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
        "bfloat16": NumberType(torch.bfloat16, "onednn"),
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
    `dtype` that is `auto`: see `choose_dtype`, and int8 for a folder in int8. Raises
    UnknownNameError, and ConfigError for a type that the device does not have, too.
    """
    target = choose_device(device)
    _check_type(dtype, target.type)
    opened = open_model(path, trust_cache=trust_cache, adapter=adapter)
    choice = (dtype, "") if dtype is not None and not DTYPES[dtype].is_choice else None
    is_quantized = opened.contents.is_quantized
    choice = choice or _choose_without_model(target, is_quantized=is_quantized)
    as_stored = choice is not None and choice[0] == INT8 and is_quantized and is_usable(INT8)
    loaded = load_opened(
        opened,
        device=target,
        dtype=torch.float32 if choice is None else DTYPES[choice[0]].dtype,
        as_stored=as_stored and opened.adapter is None,
    )
    name, reason = choice or _choose_for_kernels(loaded.model)
    is_told = dtype is not None or name not in {"float32", INT8}  # as the folder is
    if is_told:
        loaded = replace(loaded, dtype_choice=reason)
    if target.type == "cpu" and DTYPES[name].kernel is not None:
        loaded = _in_kernel(loaded, name)
    bind_calls(loaded.model)
    loaded = replace(loaded, number_type=loaded.number_type or name)
    return _with_notice(loaded, loaded.rounding) if loaded.rounding else loaded


def _check_type(dtype: str | None, device: str) -> None:
    if dtype is not None:
        DTYPES.check(dtype)
        if DTYPES[dtype].needs_kernel and device != "cpu":
            raise ConfigError(
                f"dtype {dtype} is for a CPU, and the device is {device}: take the dtype bfloat16, "
                "or the device cpu"
            )


def choose_dtype(
    device: torch.device, model: Transformer, *, is_quantized: bool
) -> tuple[str, str]:
    """Return the number type that `auto` stands for, and the reason.

    That is bfloat16 on a GPU that computes in it, and on a CPU int8 for a folder in int8, else the
    type with the fastest kernel of those that nearly always give float32's text. A model without
    large matrices stays in float32 there, and nothing is measured.
    """
    choice = _choose_without_model(device, is_quantized=is_quantized)
    return choice or _choose_for_kernels(model)


def _choose_without_model(device: torch.device, *, is_quantized: bool) -> tuple[str, str] | None:
    """Return what `auto` stands for and the reason; None where the model's matrices decide."""
    if device.type == "cpu":
        return (INT8, f"dtype auto is {INT8}, as the folder is") if is_quantized else None
    if device.type == "cuda":
        with torch.cuda.device(device):
            if torch.cuda.is_bf16_supported(including_emulation=False):
                return "bfloat16", "dtype auto is bfloat16, in which this GPU computes"
    return "float32", "dtype auto is float32: this device does not compute in bfloat16"


def _choose_for_kernels(model: Transformer) -> tuple[str, str]:
    """Return the exact number type whose kernel was measured to be the fastest, and the reason."""
    if not has_large_matrices(model):
        return "float32", "dtype auto is float32: the model has no large matrices"
    base = DTYPES["float32"].kernel
    assert base is not None
    speeds = kernel_speeds(base)
    exact = {
        name: speeds[each.kernel]
        for name, each in DTYPES.items()
        if each.dtype == torch.float32
        and each.kernel is not None
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


def _in_kernel(loaded: LoadedModel, dtype: str) -> LoadedModel:
    """Lay out a model's matrices for the kernel of a type, or say that the machine has none."""
    number_type = DTYPES[dtype]
    assert number_type.kernel is not None
    if not is_usable(number_type.kernel, number_type.dtype):
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
    return replace(loaded, dtype_notices=(*loaded.dtype_notices, text))
