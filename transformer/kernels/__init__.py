"""Kernels of a CPU for inference: linear maps whose weights are laid out once."""

from .calls import bind_calls
from .linear import (
    EXACT,
    LINEAR_KERNELS,
    LinearKernel,
    PackedLinear,
    can_hold,
    is_usable,
    padded_rows,
)
from .packing import CompactEmbedding, pack_model, rounds_inputs
from .probe import kernel_speeds
from .projection import RescoredProjection
from .stored import INT8, compact_embeddings, int8_tensors, names_as_stored
from .topk import blockwise_top_k

__all__ = [
    "EXACT",
    "INT8",
    "LINEAR_KERNELS",
    "CompactEmbedding",
    "LinearKernel",
    "PackedLinear",
    "RescoredProjection",
    "bind_calls",
    "blockwise_top_k",
    "can_hold",
    "compact_embeddings",
    "int8_tensors",
    "is_usable",
    "kernel_speeds",
    "names_as_stored",
    "pack_model",
    "padded_rows",
    "rounds_inputs",
]
