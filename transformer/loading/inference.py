"""Loading of models for inference alone: number types, and the kernels that go with them."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch

from tokenizer.quantities import format_count

from ..errors import ConfigError
from ..kernels import LINEAR_KERNELS, LinearKernel, is_usable, pack_linear_maps
from ..memory import release_freed_memory
from ..model import Transformer
from ..registry import Registry
from .load import LoadedModel, choose_device, load_model


class NumberType(NamedTuple):
    """A number type of weights: what they are loaded as, and a kernel of linear maps on a CPU."""

    dtype: torch.dtype
    kernel: str | None = None


DTYPES: Registry[NumberType] = Registry(
    "dtype",
    {
        "float32": NumberType(torch.float32),
        "bfloat16": NumberType(torch.bfloat16),
        "float16": NumberType(torch.float32, "float16"),
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

    Its linear maps are laid out for the kernel of the number type, if it has one. Raises
    UnknownNameError, and ConfigError for a type that the device does not have, too.
    """
    number_type = DTYPES[dtype]
    kind = choose_device(device).type
    if number_type.kernel is not None and kind != "cpu":
        raise ConfigError(
            f"dtype {dtype} is for a CPU, and the device is {kind}: take the dtype bfloat16, or "
            "the device cpu"
        )
    loaded = load_model(
        path, device=device, dtype=number_type.dtype, trust_cache=trust_cache, adapter=adapter
    )
    if number_type.kernel is None:
        return replace(loaded, number_type=dtype)
    if not is_usable(number_type.kernel):
        return _with_notice(loaded, f"this machine has no kernel for {dtype}: float32 is used")
    left = pack_model(loaded.model, LINEAR_KERNELS[number_type.kernel])
    release_freed_memory()  # of the weights that were let go
    loaded = replace(loaded, number_type=dtype)
    if not left:
        return loaded
    maps = format_count(left, "matrix", "matrices")
    return _with_notice(loaded, f"{maps} with numbers beyond {dtype} stay in float32")


def _with_notice(loaded: LoadedModel, text: str) -> LoadedModel:
    return replace(loaded, notices=(*loaded.notices, text))


def pack_model(model: Transformer, kernel: LinearKernel) -> int:
    """Lay out all large linear maps for a kernel, the projection to the vocabulary too.

    Returns how many it cannot hold, which stay.
    """
    return pack_linear_maps(model, kernel) + model.head.pack(model.embedding.weight, kernel)
