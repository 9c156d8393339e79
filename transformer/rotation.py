"""Rotation of queries and keys by their positions; arXiv 2104.09864.

Shape suffixes: B batch, T tokens, H heads, K head width.
"""

import torch
from torch import Tensor


def rotate(x_BTHK: Tensor, rotation: Tensor | None) -> Tensor:
    """Rotate each pair (i, i + R/2) by its angle, in float32; the dtype of x is kept.

    R/2 angles are those of the first R dimensions of a head; the others stay as they are.
    """
    if rotation is None:
        return x_BTHK
    cos, sin = rotation
    half = cos.size(-1)
    rest = x_BTHK.size(-1) - 2 * half
    first, second, others = torch.split(x_BTHK.float(), [half, half, rest], dim=-1)
    turned = torch.cat([first * cos - second * sin, second * cos + first * sin, others], dim=-1)
    return turned.to(x_BTHK.dtype)
