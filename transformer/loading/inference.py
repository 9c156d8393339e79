"""Loading of models for decoding alone: number types, and the kernels that go with them."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch

from ..errors import ConfigError
from ..kernels import LINEAR_KERNELS, LinearKernel, is_usable, pack_linear_maps
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
    """Load a model or run folder as load_model does, for decoding and nothing else.

    Its linear maps are laid out for the kernel of the number type, if it has one. Raises
    UnknownNameError, and ConfigError for a type that the device does not have, too.
    """
    number_type = DTYPES[dtype]
    if number_type.kernel is not None and choose_device(device).type != "cpu":
        raise ConfigError(f"--dtype {dtype} is for a CPU; on a GPU take bfloat16, or --device cpu")
    loaded = load_model(
        path, device=device, dtype=number_type.dtype, trust_cache=trust_cache, adapter=adapter
    )
    loaded = replace(loaded, number_type=dtype)
    return loaded if number_type.kernel is None else _pack(loaded, number_type.kernel)


def _pack(loaded: LoadedModel, name: str) -> LoadedModel:
    """Lay out the linear maps of a model for a kernel; that there is none is told."""
    if not is_usable(name):
        lacking = f"this machine has no kernel for {name}: the weights are in float32"
        return replace(loaded, notices=(*loaded.notices, lacking))
    pack_model(loaded.model, LINEAR_KERNELS[name])
    return loaded


def pack_model(model: Transformer, kernel: LinearKernel) -> None:
    """Lay out all linear maps of a network for a kernel, the projection to the vocabulary too."""
    pack_linear_maps(model, kernel)
    model.head.pack(model.embedding.weight, kernel)
