"""The projection to a vocabulary, for inference: as a kernel computes it, the best ones exactly.

Shape suffixes: R rows, I inputs, O outputs, C outputs that are computed again.
"""

from math import isfinite

import torch
from torch import Tensor, nn

from .linear import EXACT, LinearKernel, PackedLinear, largest
from .topk import blockwise_top_k

_RESCORED = 16  # outputs of a row


class RescoredProjection(nn.Module):
    """A projection by float16 weights, of which the largest outputs of each row are exact."""

    def __init__(self, half_OI: Tensor, bias_O: Tensor | None, kernel: LinearKernel) -> None:
        super().__init__()
        self.packed = PackedLinear(half_OI, bias_O, kernel)
        self.half_OI, self.bias_O = half_OI, bias_O
        self.out_features = len(half_OI)

    def forward(self, x: Tensor) -> Tensor:
        """(…, I) → (…, O)."""
        x_RI = x.flatten(0, -2)
        y_RO: Tensor = self.packed(x_RI)
        indices_RC = blockwise_top_k(y_RO, _RESCORED)[1]
        weight_RCI = self.half_OI[indices_RC].to(x.dtype)
        exact_RC = (weight_RCI * x_RI[:, None]).sum(dim=-1)  # a product's bits depend on R
        if self.bias_O is not None:
            exact_RC = exact_RC + self.bias_O[indices_RC]
        return y_RO.scatter_(1, indices_RC, exact_RC).view(*x.shape[:-1], self.out_features)


def pack_projection(
    weight_OI: Tensor, bias_O: Tensor | None, kernel: LinearKernel, half_OI: Tensor | None
) -> PackedLinear | RescoredProjection:
    """Lay out a projection for a kernel; `half_OI` is its matrix in float16, if kept anyway."""
    if kernel.error > EXACT:
        half_OI = weight_OI.to(torch.float16, copy=True) if half_OI is None else half_OI
        if isfinite(largest(half_OI)):
            return RescoredProjection(half_OI, bias_O, kernel)
    return PackedLinear(weight_OI, bias_O, kernel)
