"""A network's matrices, laid out for a CPU's kernel: for inference alone.

Shape suffixes: V vocabulary, D d_model, O outputs, I inputs.
"""

from math import isfinite

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..heads import TokenHead
from ..memory import MappedFiles
from ..model import Transformer
from ..uninitialized import Embedding, Linear
from .linear import EXACT, LinearKernel, PackedLinear, can_hold, largest
from .projection import pack_projection

# Numbers of a matrix up to which F.linear is as fast as a kernel's call, for one row to eight.
SMALL = 131_072


def is_large(weight_OI: Tensor) -> bool:
    """Return True for a matrix for which a kernel's call is worth its time."""
    return weight_OI.numel() > SMALL


def has_large_matrices(model: nn.Module) -> bool:
    """Return True for a model of which some part is laid out."""
    return any(weight.ndim == 2 and is_large(weight) for weight in model.parameters())


def kernel_for(weight_OI: Tensor, kernel: LinearKernel) -> LinearKernel | None:
    """Return the kernel of a matrix; None where it stays as it is."""
    return kernel if is_large(weight_OI) else kernel.small


def pack_model(model: Transformer, kernel: LinearKernel) -> int:
    """Lay out all large matrices of a model for a kernel, its projection to the vocabulary too.

    Their own numbers are let go one by one, pages of their file too, and nothing is a view of it
    any more: the model can be neither trained nor saved. Returns how many matrices the kernel
    cannot hold, which stay.
    """
    files = MappedFiles()
    left = _pack_linear_maps(model, kernel, files)
    table_VD = _compact_table(model.embedding, kernel)
    if isinstance(model.embedding, CompactEmbedding):  # whose pages need not wait for the rest
        model.embedding = _with_table(model.embedding, table_VD, files)
    left += _pack_projection(model, kernel, table_VD, files)
    model.embedding = _with_table(model.embedding, table_VD, files)
    if (source := model.source_embedding) is not None:
        model.source_embedding = _with_table(source, _compact_table(source, kernel), files)
    for module in model.modules():
        if not isinstance(module, CompactEmbedding):
            for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
                mapped = tensor.data
                tensor.data = mapped.clone()
                _drop(mapped, files)
    return left


def rounds_inputs(model: nn.Module) -> bool:
    """Return True for a model with a kernel by which the last bit of an input may decide a unit."""
    maps = (module for module in model.modules() if isinstance(module, PackedLinear))
    return any(each.kernel.error > EXACT for each in maps)


def _pack_linear_maps(network: nn.Module, kernel: LinearKernel, files: MappedFiles) -> int:
    left = 0
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if not isinstance(child, Linear):
                continue
            own = kernel_for(child.weight, kernel)
            if own is None:
                continue
            if can_hold(own, child.weight):
                setattr(parent, name, PackedLinear(child.weight, child.bias, own))
                _drop(child.weight, files)
                del child.weight  # the module itself is listed above
            else:
                left += 1
    return left


def _drop(weight: Tensor, files: MappedFiles) -> None:
    """Drop the pages of a matrix that is read no more."""
    files.drop(weight.data_ptr(), weight.nbytes)


def _pack_projection(
    model: Transformer, kernel: LinearKernel, table_VD: Tensor | None, files: MappedFiles
) -> int:
    """Lay out the projection; `table_VD` is the embedding as it is kept."""
    head, embedding_VD = model.head, model.embedding.weight
    if not isinstance(head, TokenHead) or not head.projects:
        return 0
    weight_VD = head.projection(embedding_VD)
    own = kernel_for(weight_VD, kernel)
    if own is None:
        return 0
    if not can_hold(own, weight_VD):
        return 1
    if head.weight is None:
        head.packed = pack_projection(weight_VD, head.bias, own, table_VD)
    else:
        head.packed = pack_projection(weight_VD, head.bias, own, None)
        _drop(weight_VD, files)
        head.weight = nn.Parameter(torch.empty_like(weight_VD, device="meta"), False)
    return 0


class CompactEmbedding(Embedding):
    """An embedding whose table is of another type than what it returns."""

    def __init__(self, table_VD: Tensor, dtype: torch.dtype) -> None:
        super().__init__(len(table_VD), table_VD.size(1), device="meta")
        self.weight = nn.Parameter(table_VD, requires_grad=False)
        self._dtype = dtype

    @property
    def dtype(self) -> torch.dtype:
        """See Embedding."""
        return self._dtype

    def forward(self, ids: Tensor) -> Tensor:
        """(…) → (…, D)."""
        return F.embedding(ids, self.weight).to(self._dtype)


def _compact_table(embedding: Embedding, kernel: LinearKernel) -> Tensor | None:
    """Return a table in the type that goes with a kernel; None where it stays as it is.

    That is a small one, and one with numbers that the type has no place for.
    """
    if kernel.table is None or not is_large(embedding.weight):
        return None
    table_VD = embedding.weight.to(kernel.table, copy=True)
    return table_VD if isfinite(largest(table_VD)) else None


def _with_table(embedding: Embedding, table_VD: Tensor | None, files: MappedFiles) -> Embedding:
    if table_VD is None:
        return embedding
    _drop(embedding.weight, files)
    return CompactEmbedding(table_VD, embedding.dtype)
