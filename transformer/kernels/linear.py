"""Linear maps of a CPU: a registry of kernels, and a map that uses one of them.

Their operators belong to no public interface of torch, so each is tried once before it is used.
Shape suffixes: R rows, I inputs, O outputs.
"""

from functools import cache
from math import inf
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from checkpoints import quantized_tensor

from ..registry import Registry

EXACT = 1e-4  # error of a kernel up to which its outputs are as good as exact


class LinearKernel(Protocol):
    """A way to compute linear maps whose weights never change.

    `error` bounds the error of a row's outputs, relative to their length (Euclidean norm);
    `largest` is the largest magnitude that it has a place for; inf: it takes all numbers. `table`
    is the type in which tables of embeddings go with it; None: that of the model. `small` is the
    kernel of small matrices, for which a call costs more than the product; None: F.linear, whose
    last bits depend on the number of rows, which would decide on units where inputs are rounded.
    `packs_in_threads`: laying a matrix out takes all threads.
    """

    error: float
    largest: float
    table: torch.dtype | None = None
    small: "LinearKernel | None" = None
    packs_in_threads: bool = False

    def pack(self, weight_OI: Tensor, bias_O: Tensor | None) -> Any:
        """Lay out a matrix and its bias for `apply`."""
        ...

    def apply(self, x: Tensor, packed: Any) -> Tensor:
        """Return the map of x (…, I): (…, O)."""
        ...

    def rounded(self, weight_OI: Tensor) -> Tensor:
        """Return the numbers of a matrix that a kernel computes with, in the matrix's own type."""
        ...


class OneDNNKernel(LinearKernel):
    """oneDNN's product with weights that are laid out once, in their own number type.

    Each number of rows compiles code of its own (0.4 ms and 0.6 MiB), so rows are padded to few.
    """

    error = 1e-5
    largest = inf
    packs_in_threads = True

    def pack(self, weight_OI: Tensor, bias_O: Tensor | None) -> Any:
        """See LinearKernel."""
        weight_OI = weight_OI.contiguous()
        return torch.ops.mkldnn._reorder_linear_weight(weight_OI, None), bias_O

    def apply(self, x: Tensor, packed: Any) -> Tensor:
        """See LinearKernel."""
        rows = x.numel() // x.size(-1)
        padding = padded_rows(rows) - rows
        x_padded = F.pad(x.flatten(0, -2), (0, 0, 0, padding)) if padding else x
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x_padded, *packed, "none", [], "")
        return y[:rows].view(*x.shape[:-1], y.size(-1)) if padding else y

    def rounded(self, weight_OI: Tensor) -> Tensor:
        """See LinearKernel."""
        return weight_OI


def padded_rows(rows: int) -> int:
    """Return the least number of rows, of four an octave, that is not below this one.

    >>> [padded_rows(rows) for rows in (1, 7, 8, 9, 17, 33, 1000)]
    [1, 7, 8, 10, 20, 40, 1024]
    """
    step = 1 << max(0, (rows - 1).bit_length() - 3)
    return -(-rows // step) * step


class Float16Kernel(LinearKernel):
    """fbgemm's product of float32 with weights in float16: half the memory to read."""

    error = 1e-5
    largest = torch.finfo(torch.float16).max
    table = torch.float16

    def pack(self, weight_OI: Tensor, bias_O: Tensor | None) -> Any:
        """See LinearKernel."""
        return torch.ops.quantized.linear_prepack_fp16(weight_OI.contiguous(), bias_O)

    def apply(self, x: Tensor, packed: Any) -> Tensor:
        """See LinearKernel."""
        y: Tensor = torch.ops.quantized.linear_dynamic_fp16(x, packed)
        return y

    def rounded(self, weight_OI: Tensor) -> Tensor:
        """See LinearKernel."""
        return weight_OI.half().to(weight_OI.dtype)


class Int8Kernel(LinearKernel):
    """fbgemm's product of integers of 8 bits: a scale for each output, and for each row.

    The operator takes one scale for all rows. So each is brought to a largest magnitude of 1 first,
    and does not depend on its neighbours.
    """

    error = 0.03
    largest = torch.finfo(torch.float32).max
    table = torch.float16
    small = Float16Kernel()

    def pack(self, weight_OI: Tensor, bias_O: Tensor | None) -> Any:
        """See LinearKernel."""
        return torch.ops.quantized.linear_prepack(quantized(weight_OI), None), bias_O

    def apply(self, x: Tensor, packed: Any) -> Tensor:
        """See LinearKernel."""
        prepacked, bias_O = packed
        scale = x.abs().amax(dim=-1, keepdim=True)  # of 0: whatever the product is, 0 of it
        largest = _largest_input()
        y: Tensor = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
            x / scale, 1 / largest, largest + 1, prepacked
        )
        return y.mul_(scale) if bias_O is None else torch.addcmul(bias_O, y, scale, out=y)

    def rounded(self, weight_OI: Tensor) -> Tensor:
        """See LinearKernel."""
        return quantized(weight_OI).dequantize().to(weight_OI.dtype)


@cache
def _largest_input() -> int:
    """Return the integer of a row's largest magnitude: 127 of 8 bits.

    63 of 7 where the processor keeps the sum of two products in 16 bits.
    """
    has_wide_sums = torch.cpu._is_avx512_supported() and torch.cpu._is_vnni_supported()
    return 127 if has_wide_sums else 63


_ROWS = 1024  # that are rounded together
_TINY = torch.finfo(torch.float32).tiny


def quantized(weight_OI: Tensor) -> Tensor:
    """Return a matrix in 8 bits, each output's largest magnitude as 127; one that is, as it is.

    Its scales are numbers of float32, which a file can hold.
    """
    if weight_OI.is_quantized:
        return weight_OI
    integers_OI = torch.empty(weight_OI.shape, dtype=torch.int8)
    scales_O = torch.empty(len(weight_OI))
    for start in range(0, len(weight_OI), _ROWS):  # in float32 few at once
        part_RI = weight_OI[start : start + _ROWS].float()
        # aminmax along a dimension is 20 times as slow as both of these.
        largest_R1 = torch.maximum(-part_RI.amin(1, keepdim=True), part_RI.amax(1, keepdim=True))
        scale_R1 = (largest_R1.clamp(min=_TINY).double() / 127).float()
        scales_O[start : start + _ROWS] = scale_R1[:, 0]
        integers_OI[start : start + _ROWS] = (part_RI / scale_R1).round_().clamp_(-127, 127)
    return quantized_tensor(integers_OI, scales_O)


LINEAR_KERNELS: Registry[LinearKernel] = Registry(
    "kernel of linear maps",
    {"onednn": OneDNNKernel(), "float16": Float16Kernel(), "int8": Int8Kernel()},
)


@cache
def is_usable(name: str, dtype: torch.dtype = torch.float32) -> bool:
    """Return True if this torch and machine have a kernel that computes as it should in a dtype."""
    kernel, weight_OI = LINEAR_KERNELS[name], torch.linspace(-3, 500, 48 * 64).sin().view(48, 64)
    weight_OI[7] = 1.0  # with a row of ones, the largest sums
    weight_OI = weight_OI.to(dtype)
    x_R1I = torch.cat([weight_OI[7:], weight_OI.cos()])[:, None]
    try:
        with torch.inference_mode():
            return all(
                _computes_map(kernel, x_R1I[:rows], weight_OI, bias_O)
                for rows in (1, 5, 33)
                for bias_O in (None, weight_OI[:, 3].contiguous())
            )
    except (AttributeError, RuntimeError):
        return False


def _computes_map(
    kernel: LinearKernel, x: Tensor, weight_OI: Tensor, bias_O: Tensor | None
) -> bool:
    found = kernel.apply(x, kernel.pack(weight_OI, bias_O))
    wanted = F.linear(x, kernel.rounded(weight_OI), bias_O)
    errors, lengths = (found - wanted).norm(dim=-1), wanted.norm(dim=-1)
    error = max(kernel.error, torch.finfo(x.dtype).eps)
    return bool((errors <= error * lengths).all())


class PackedLinear(nn.Module):
    """A linear map for inference, whose weights a kernel has laid out."""

    def __init__(self, weight: Tensor, bias: Tensor | None, kernel: LinearKernel) -> None:
        super().__init__()
        own_bias = None if bias is None else bias.detach().clone()  # no view of a file
        self.kernel, self.packed = kernel, kernel.pack(weight, own_bias)
        self.out_features = len(weight)

    def forward(self, x: Tensor) -> Tensor:
        """(…, inputs) → (…, outputs)."""
        return self.kernel.apply(x, self.packed)


def can_hold(kernel: LinearKernel, weight: Tensor) -> bool:
    """Return False for a matrix with numbers that a kernel has no place for: 100,000 in float16."""
    return weight.is_quantized or kernel.largest == inf or largest(weight) <= kernel.largest


def largest(weight: Tensor) -> float:
    """Return the largest magnitude, or NaN if there is one: without a copy, as of magnitudes."""
    low, high = torch.aminmax(weight.detach())
    return max(-float(low), float(high))
