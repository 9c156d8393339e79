"""A soft cap of numbers, as attention scores and logits may have."""

import torch
from torch import Tensor


def soft_cap(numbers: Tensor, cap: float | None) -> Tensor:
    """Return `c·tanh(x/c)`, which stays between -c and c; Gemma 2, arXiv 2408.00118 §2.

    A cap of None changes nothing.
    """
    return numbers if cap is None else cap * torch.tanh(numbers / cap)
