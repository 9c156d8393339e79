"""Linear maps of a CPU: a registry of kernels, and a map that uses one of them.

Their operators belong to no public interface of torch, so each is tried once before it is used.
"""

from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..registry import Registry


class LinearKernel(Protocol):
    """A way to compute linear maps whose weights never change."""

    def pack(self, weight: Tensor, bias: Tensor | None) -> Any:
        """Lay out a matrix (outputs, inputs) and its bias for `apply`."""
        ...

    def apply(self, x: Tensor, packed: Any) -> Tensor:
        """Return the map of x (…, inputs): (…, outputs)."""
        ...

    def rounded(self, weight: Tensor) -> Tensor:
        """Return the numbers of a matrix that a kernel computes with, in the matrix's own type."""
        ...


class Float16Kernel:
    """fbgemm's product of float32 with weights in float16: half the memory to read."""

    def pack(self, weight: Tensor, bias: Tensor | None) -> Any:
        """See LinearKernel."""
        return torch.ops.quantized.linear_prepack_fp16(weight.contiguous(), bias)

    def apply(self, x: Tensor, packed: Any) -> Tensor:
        """See LinearKernel."""
        y: Tensor = torch.ops.quantized.linear_dynamic_fp16(x, packed)
        return y

    def rounded(self, weight: Tensor) -> Tensor:
        """See LinearKernel."""
        return weight.half().to(weight.dtype)


LINEAR_KERNELS: Registry[LinearKernel] = Registry(
    "kernel of linear maps", {"float16": Float16Kernel()}
)


@cache
def is_usable(name: str) -> bool:
    """Return True if this torch and this machine have a kernel, and it computes what it should."""
    kernel, numbers = LINEAR_KERNELS[name], torch.linspace(-3, 500, 48 * 40).sin()
    weight, rows_R1I = numbers.view(48, 40), numbers[: 33 * 40].view(33, 1, 40)
    try:
        with torch.inference_mode():
            return all(
                torch.allclose(
                    kernel.apply(x, kernel.pack(weight, bias)),
                    F.linear(x, kernel.rounded(weight), bias),
                    atol=1e-4,
                )
                for x in (rows_R1I[:1], rows_R1I[:5], rows_R1I)
                for bias in (None, numbers[:48])
            )
    except (AttributeError, RuntimeError):
        return False


class PackedLinear(nn.Module):
    """A linear map for inference, whose weights a kernel has laid out."""

    def __init__(self, weight: Tensor, bias: Tensor | None, kernel: LinearKernel) -> None:
        super().__init__()
        self.kernel, self.packed = kernel, kernel.pack(weight, bias)
        self.out_features = len(weight)

    def forward(self, x: Tensor) -> Tensor:
        """(…, inputs) → (…, outputs)."""
        return self.kernel.apply(x, self.packed)


def can_hold(kernel: LinearKernel, weight: Tensor) -> bool:
    """Return False for a matrix with numbers that a kernel has no place for: 100,000 in float16."""
    return bool(torch.isfinite(kernel.rounded(weight)).all())
