"""A network's matrices, laid out for a CPU's kernel: for inference alone.

Shape suffixes: V vocabulary, D d_model, O outputs, I inputs.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from functools import partial
from itertools import islice
from math import isfinite
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..heads import TokenHead
from ..losses import Projection
from ..memory import MappedFiles
from ..model import Transformer
from ..uninitialized import Embedding, Linear
from .linear import EXACT, LinearKernel, PackedLinear, can_hold, largest
from .projection import pack_projection

# Numbers of a matrix up to which F.linear is as fast as a kernel's call, for one row to eight.
SMALL = 131_072
_THREADS = 2  # that lay matrices out: half the time, and two matrices are in memory twice


def is_large(weight_OI: Tensor) -> bool:
    """Return True for a matrix for which a kernel's call is worth its time."""
    return weight_OI.numel() > SMALL


def has_large_matrices(model: Transformer) -> bool:
    """Return True for a model with a product for which a kernel's call is worth its time."""
    weights = [module.weight for module in model.modules() if isinstance(module, Linear)]
    if isinstance(model.head, TokenHead) and model.head.projects:
        weights.append(model.head.projection(model.embedding.weight))
    return any(map(is_large, weights))


def kernel_for(weight_OI: Tensor, kernel: LinearKernel) -> LinearKernel | None:
    """Return the kernel of a matrix; None where it stays as it is."""
    return kernel if is_large(weight_OI) else kernel.small


def pack_model(model: Transformer, kernel: LinearKernel) -> int:
    """Lay out all large matrices of a model for a kernel, its projection to the vocabulary too.

    Their own numbers are let go by and by, pages of their file too, and nothing is a view of it any
    more: the model can be neither trained nor saved. Returns how many matrices the kernel
    cannot hold, which stay.
    """
    files = MappedFiles()
    table_VD = _compact_table(model.embedding, kernel)
    if isinstance(model.embedding, CompactEmbedding):  # whose pages need not wait for the rest
        model.embedding = _with_table(model.embedding, table_VD, files)
    matrices = [*_projection(model, kernel, table_VD), *_linear_maps(model, kernel)]
    left = 0
    for matrix, packed in _packed(matrices, kernel):
        if packed is None:
            left += 1
        else:
            weight_OI = matrix.weight()
            matrix.replace(packed)
            if not matrix.is_shared:
                _drop(weight_OI, files)
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


class _Matrix(NamedTuple):
    """A matrix that is to be laid out: what does it, and what puts the result in its place.

    It is let go before others are read, so it is not held. Pages of one that `is_shared` stay.
    """

    weight: Callable[[], Tensor]
    kernel: LinearKernel
    pack: Callable[[Tensor], Any]
    replace: Callable[[Any], None]
    is_shared: bool = False


def _packed(matrices: Iterable[_Matrix], kernel: LinearKernel) -> Iterator[tuple[_Matrix, Any]]:
    """Yield matrices as they are laid out, with None for one that its kernel cannot hold.

    Where packing takes one thread, several do it. They keep torch's number of threads, which no
    thread can change for itself alone.
    """
    if kernel.packs_in_threads:
        yield from ((matrix, _pack(matrix)) for matrix in matrices)
        return
    waiting = iter(matrices)
    with ThreadPoolExecutor(_THREADS) as threads:
        running = {threads.submit(_pack, matrix): matrix for matrix in islice(waiting, _THREADS)}
        while running:
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(done), done.result()
                for matrix in islice(waiting, 1):  # once the last one is let go
                    running[threads.submit(_pack, matrix)] = matrix


@torch.no_grad()
def _pack(matrix: _Matrix) -> Any:
    weight_OI = matrix.weight()
    return matrix.pack(weight_OI) if can_hold(matrix.kernel, weight_OI) else None


def _linear_maps(network: nn.Module, kernel: LinearKernel) -> Iterator[_Matrix]:
    for parent in network.modules():
        for name, child in parent.named_children():
            if isinstance(child, Linear) and (own := kernel_for(child.weight, kernel)) is not None:
                pack = partial(PackedLinear, bias=child.bias, kernel=own)
                replace = partial(_replace_child, parent, name)
                yield _Matrix(partial(getattr, child, "weight"), own, pack, replace)


def _replace_child(parent: nn.Module, name: str, packed: PackedLinear) -> None:
    child = getattr(parent, name)
    setattr(parent, name, packed)
    del child.weight  # others may still know the module


def _drop(weight: Tensor, files: MappedFiles) -> None:
    """Drop the pages of a matrix that is read no more."""
    files.drop(weight.data_ptr(), weight.nbytes)


def _projection(
    model: Transformer, kernel: LinearKernel, table_VD: Tensor | None
) -> Iterator[_Matrix]:
    """Yield the projection to the vocabulary, if it is large; `table_VD` as the embedding is kept.

    One that is the embedding's matrix, too, stays as it is for that.
    """
    head = model.head
    if not isinstance(head, TokenHead) or not head.projects:
        return
    is_shared, embedding = head.weight is None, model.embedding
    own = kernel_for(head.projection(embedding.weight), kernel)
    if own is not None:
        half_VD = table_VD if is_shared else None
        pack = partial(pack_projection, bias_O=head.bias, kernel=own, half_OI=half_VD)
        replace = partial(_replace_projection, head)
        yield _Matrix(lambda: head.projection(embedding.weight), own, pack, replace, is_shared)


def _replace_projection(head: TokenHead, packed: Projection) -> None:
    head.packed = packed
    if head.weight is not None:
        head.weight = nn.Parameter(torch.empty_like(head.weight, device="meta"), False)


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
