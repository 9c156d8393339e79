"""Kernels of a CPU for inference: linear maps whose weights are laid out once."""

from .linear import LINEAR_KERNELS, LinearKernel, PackedLinear, can_hold, is_usable
from .packing import SMALL, pack_linear_maps

__all__ = [
    "LINEAR_KERNELS",
    "SMALL",
    "LinearKernel",
    "PackedLinear",
    "can_hold",
    "is_usable",
    "pack_linear_maps",
]
