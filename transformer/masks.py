"""Who may see whom: pure functions from positions to boolean masks (True: may be seen).

Shape suffixes: B batch, T queries, S keys. Position -1 marks padding and unwritten cache slots.
"""

import torch
from torch import Tensor


def padded_positions(lengths_B: Tensor, size: int) -> Tensor:
    """Positions (B, size) of texts padded on the right: 0 … length-1, then -1.

    >>> padded_positions(torch.tensor([2, 3]), 3).tolist()
    [[0, 1, -1], [0, 1, 2]]
    """
    places = torch.arange(size, device=lengths_B.device)
    return torch.where(places < lengths_B[:, None], places, -1)


def padding(keys_BS: Tensor) -> Tensor:
    """Hide padding keys from all queries; a row of nothing but padding stays visible, so that no
    softmax is empty. Shape (B, 1, 1, S)."""
    real_BS = keys_BS >= 0
    return (real_BS | ~real_BS.any(dim=1, keepdim=True))[:, None, None, :]


def causal(queries_BT: Tensor, keys_BS: Tensor) -> Tensor:
    """A position sees itself and all before it. Shape (B, T, S)."""
    return keys_BS[:, None, :] <= queries_BT[:, :, None]


def sliding_window(
    queries_BT: Tensor, keys_BS: Tensor, *, window: int, global_tokens: int
) -> Tensor:
    """A position sees those less than `window` away; the first `global_tokens` see and are seen.

    Longformer's sliding window with global attention, arXiv 2004.05150 §3.1. Shape (B, T, S).
    """
    q_BT1, k_B1S = queries_BT[:, :, None], keys_BS[:, None, :]
    return ((q_BT1 - k_B1S).abs() < window) | (k_B1S < global_tokens) | (q_BT1 < global_tokens)


def mask_padding(queries_BT: Tensor, keys_BS: Tensor, seen_BTS: Tensor | None) -> Tensor:
    """What is seen, less padding keys. A padding query sees all, so that no softmax is empty."""
    real_B1S = keys_BS[:, None, :] >= 0
    seen = real_B1S if seen_BTS is None else real_B1S & seen_BTS
    return seen | (queries_BT[:, :, None] < 0)


def additive(mask: Tensor) -> Tensor:
    """The mask as numbers to add to attention scores: 0 where seen, -inf elsewhere."""
    zeros = torch.zeros(mask.shape, dtype=torch.float32, device=mask.device)
    return zeros.masked_fill_(~mask, float("-inf"))
