"""Kernels of a CPU for models that decode: linear maps whose weights are laid out once."""

from .linear import LINEAR_KERNELS, LinearKernel, PackedLinear, can_hold, is_usable
from .packing import pack_linear_maps

__all__ = [
    "LINEAR_KERNELS",
    "LinearKernel",
    "PackedLinear",
    "can_hold",
    "is_usable",
    "pack_linear_maps",
]
