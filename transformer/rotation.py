"""Rotation of queries and keys by their positions; arXiv 2104.09864.

Shape suffixes: B batch, T tokens, H heads, K head width.
"""

import torch
from torch import Tensor


def rotate(x_BTHK: Tensor, rotation: Tensor | None) -> Tensor:
    """Rotate each pair (i, i + K/2) by its angle, in float32; the dtype of x is kept."""
    if rotation is None:
        return x_BTHK
    cos, sin = rotation
    first, second = x_BTHK.float().chunk(2, dim=-1)
    turned = torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
    return turned.to(x_BTHK.dtype)
