"""Kernels of a CPU for inference: linear maps whose weights are laid out once."""

from .calls import bind_calls
from .linear import EXACT, LINEAR_KERNELS, PackedLinear, can_hold, is_usable, quantized
from .packing import (
    CompactEmbedding,
    has_large_matrices,
    is_large,
    kernel_for,
    pack_model,
    rounds_inputs,
)
from .probe import kernel_speeds
from .topk import blockwise_argmax, blockwise_top_k

__all__ = [
    "EXACT",
    "LINEAR_KERNELS",
    "CompactEmbedding",
    "PackedLinear",
    "bind_calls",
    "blockwise_argmax",
    "blockwise_top_k",
    "can_hold",
    "has_large_matrices",
    "is_large",
    "is_usable",
    "kernel_for",
    "kernel_speeds",
    "pack_model",
    "quantized",
    "rounds_inputs",
]
