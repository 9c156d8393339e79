"""Loading of models for inference alone: number types, and the kernels that go with them."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch

from tokenizer.quantities import format_count

from ..errors import ConfigError
from ..kernels import LINEAR_KERNELS, bind_calls, is_usable, pack_model
from ..memory import release_freed_memory
from ..registry import Registry
from .load import LoadedModel, choose_device, load_model


class NumberType(NamedTuple):
    """A number type of weights: what they are loaded as, and a kernel of matrices on a CPU.

    `needs_kernel`: it is nothing without its kernel, so that it is for a CPU alone.
    """

    dtype: torch.dtype
    kernel: str | None = None
    needs_kernel: bool = False


DTYPES: Registry[NumberType] = Registry(
    "dtype",
    {
        "float32": NumberType(torch.float32, "onednn"),
        "bfloat16": NumberType(torch.bfloat16),
        "float16": NumberType(torch.float32, "float16", needs_kernel=True),
        "int8": NumberType(torch.float32, "int8", needs_kernel=True),
    },
)


def load_for_inference(
    path: Path,
    *,
    device: str = "auto",
    dtype: str = "float32",
    trust_cache: bool = True,
    adapter: Path | None = None,
) -> LoadedModel:
    """Load a model or run folder as load_model does, for inference and nothing else.

    On a CPU its matrices are laid out for the kernel of the number type, if it has one. Raises
    UnknownNameError, and ConfigError for a type that the device does not have, too.
    """
    number_type = DTYPES[dtype]
    kind = choose_device(device).type
    if number_type.needs_kernel and kind != "cpu":
        raise ConfigError(
            f"dtype {dtype} is for a CPU, and the device is {kind}: take the dtype bfloat16, or "
            "the device cpu"
        )
    loaded = load_model(
        path, device=device, dtype=number_type.dtype, trust_cache=trust_cache, adapter=adapter
    )
    if kind == "cpu" and number_type.kernel is not None:
        loaded = _in_kernel(loaded, dtype, number_type)
    bind_calls(loaded.model)
    return loaded if loaded.number_type else replace(loaded, number_type=dtype)


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
