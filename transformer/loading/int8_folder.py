"""Networks in int8 as their folders keep them: read into the kernel as they are.

The numbers are those that the kernel of int8 makes of a network itself: large matrices in 8 bits
with a scale for each output, small ones, the embeddings and the projection in float16. Of a
projection the 8 bits are made of its float16. Shape suffixes: O outputs, I inputs.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from checkpoints import SCALE, Weights

from ..heads import TokenHead
from ..kernels import (
    LINEAR_KERNELS,
    CompactEmbedding,
    can_hold,
    is_large,
    kernel_for,
    quantized,
)
from ..model import Transformer
from ..uninitialized import Embedding, Linear

INT8 = "int8"


def int8_tensors(model: Transformer) -> dict[str, Tensor]:
    """Return a network's weights as a folder in int8 keeps them; numbers beyond it stay."""
    tensors = dict(model.state_dict())
    kernel, half = LINEAR_KERNELS[INT8], LINEAR_KERNELS["float16"]
    for name, weight in _matrices(model):
        if kernel_for(weight, kernel) is kernel and can_hold(kernel, weight):
            integers_OI = quantized(weight)
            tensors[name] = integers_OI.int_repr()
            tensors[f"{name}{SCALE}"] = integers_OI.q_per_channel_scales().float()
        elif can_hold(half, weight):
            tensors[name] = weight.half()
    for name, table in _tables(model):
        if can_hold(half, table):
            tensors[name] = table.half()
    return tensors


def has_integers(model: Transformer) -> bool:
    """Return True for a network of which a folder in int8 has a matrix in 8 bits."""
    kernel = LINEAR_KERNELS[INT8]
    return any(kernel_for(weight, kernel) is kernel for _, weight in _matrices(model))


def names_as_stored(model: Transformer, weights: Weights) -> set[str]:
    """Return the weights of a network that its kernel reads as they are in a folder in int8."""
    kinds = ((_matrices(model), torch.int8), (_tables(model), torch.float16))
    return {
        name
        for matrices, dtype in kinds
        for name, weight in matrices
        if is_large(weight) and name in weights and weights[name].dtype == dtype
    }


def compact_embeddings(model: Transformer, dtype: torch.dtype) -> None:
    """Let embeddings whose tables are in another type return what a network computes in."""
    model.embedding = _compact(model.embedding, dtype)
    if model.source_embedding is not None:
        model.source_embedding = _compact(model.source_embedding, dtype)


def _compact(embedding: Embedding, dtype: torch.dtype) -> Embedding:
    weight = embedding.weight
    return embedding if weight.dtype == dtype else CompactEmbedding(weight, dtype)


def _matrices(model: Transformer) -> Iterator[tuple[str, Tensor]]:
    """Yield the matrices of linear maps by name."""
    for name, module in model.named_modules():
        if isinstance(module, Linear):
            yield f"{name}.weight", module.weight


def _tables(model: Transformer) -> Iterator[tuple[str, Tensor]]:
    """Yield the large embeddings by name, and a projection of its own to the vocabulary."""
    embeddings = {"embedding": model.embedding, "source_embedding": model.source_embedding}
    for name, embedding in embeddings.items():
        if embedding is not None and is_large(embedding.weight):
            yield f"{name}.weight", embedding.weight
    head = model.head
    if isinstance(head, TokenHead) and head.projects and head.weight is not None:
        yield "head.weight", head.weight
