"""Attention masks: pure functions from positions to booleans (True: may be seen).

Shape suffixes: B batch, T queries, S keys. Position -1 marks padding and unwritten cache slots.
"""

import torch
from torch import Tensor


def padded_positions(lengths_B: Tensor, size: int) -> Tensor:
    """Return positions (B, size) of texts padded on the right: 0 … length-1, then -1.

    >>> padded_positions(torch.tensor([2, 3]), 3).tolist()
    [[0, 1, -1], [0, 1, 2]]
    """
    positions = torch.arange(size, device=lengths_B.device)
    return torch.where(positions < lengths_B[:, None], positions, -1)


def padding(keys_BS: Tensor) -> Tensor:
    """Return the mask (B, 1, 1, S) that hides padding keys from all queries.

    A row of padding alone stays visible, so that no softmax is empty.
    """
    not_padding_BS = keys_BS >= 0
    return (not_padding_BS | ~not_padding_BS.any(dim=1, keepdim=True))[:, None, None, :]


def causal(queries_BT: Tensor, keys_BS: Tensor) -> Tensor:
    """Return the mask (B, T, S) by which a position sees itself and all before it."""
    return keys_BS[:, None, :] <= queries_BT[:, :, None]


def same_segment(segments_BT: Tensor) -> Tensor:
    """Return the mask (B, T, T) by which a token sees those of its own segment alone."""
    return segments_BT[:, :, None] == segments_BT[:, None, :]


def sliding_window(
    queries_BT: Tensor, keys_BS: Tensor, *, window: int, global_tokens: int
) -> Tensor:
    """Return the mask (B, T, S) by which a position sees those less than `window` away.

    The first `global_tokens` see all and are seen by all: Longformer's sliding window with global
    attention, arXiv 2004.05150 §3.1.
    """
    q_BT1, k_B1S = queries_BT[:, :, None], keys_BS[:, None, :]
    return ((q_BT1 - k_B1S).abs() < window) | (k_B1S < global_tokens) | (q_BT1 < global_tokens)


def strided(queries_BT: Tensor, keys_BS: Tensor, *, stride: int) -> Tensor:
    """Return the mask (B, T, S) of a band of `stride` and of distances that are multiples of it.

    Sparse Transformer's strided attention, arXiv 1904.10509 §4.3, towards both ends.
    """
    distance_BTS = (queries_BT[:, :, None] - keys_BS[:, None, :]).abs()
    return (distance_BTS < stride) | (distance_BTS % stride == 0)


def fixed(queries_BT: Tensor, keys_BS: Tensor, *, stride: int, summary_tokens: int) -> Tensor:
    """Return the mask (B, T, S) of a query's own block and the last tokens of all other blocks.

    Sparse Transformer's fixed attention, arXiv 1904.10509 §4.3, towards both ends.
    """
    q_BT1, k_B1S = queries_BT[:, :, None], keys_BS[:, None, :]
    return (q_BT1 // stride == k_B1S // stride) | (k_B1S % stride >= stride - summary_tokens)


def mask_padding(queries_BT: Tensor, keys_BS: Tensor, visible_BTS: Tensor | None) -> Tensor:
    """Return the mask (B, T, S) with padding keys hidden; `visible_BTS` None: all others seen.

    A padding query sees all, so that no softmax is empty.
    """
    not_padding_B1S = keys_BS[:, None, :] >= 0
    visible = not_padding_B1S if visible_BTS is None else not_padding_B1S & visible_BTS
    return visible | (queries_BT[:, :, None] < 0)


def additive(mask: Tensor) -> Tensor:
    """Return a mask to add to attention scores: one of numbers as it is.

    Of booleans, in float32: 0 where True, -inf elsewhere.
    """
    if mask.dtype != torch.bool:
        return mask
    zeros = torch.zeros(mask.shape, dtype=torch.float32, device=mask.device)
    return zeros.masked_fill_(~mask, float("-inf"))
