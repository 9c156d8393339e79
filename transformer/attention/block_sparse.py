"""Block-sparse attention in parts that are dense: windows, and the patterns of arXiv 1904.10509.

A text is cut into blocks of `stride` tokens, the last one filled up with padding. No part needs a
mask but that of padding in encoders. By the patterns of 1904.10509 a text of T tokens costs
T · (T/stride + stride), by a window T · stride.
Texts are contiguous, from position 0 on, and padded on the right.
Shape suffixes: B batch, T tokens, N blocks of a text, C tokens of a block, H heads, G key heads,
K head width; in a part X problems of a row.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache, partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .kernels import HIDDEN, choose_kernel
from .merged import DensePart, MergePlan, View, count_pairs, merged_attention
from .mixing import Attend, MakeMask, Scope, Tokens

# Cost of a part for each of its queries, in keys: copies and the merge. Measured on one core with 4
# heads of 64, texts of 64 to 1,024 tokens, blocks of 8 to 512, forward and backward: parts took
# between 0.8 and 1.3 of the time of the dense mask where this says that they are alike.
_PART_COST = 64

# From the number of a text's blocks, and True in a decoder, to the parts of a pattern.
MakeParts = Callable[[int, bool], Sequence[DensePart]]


@cache
def of_sizes(parts: Callable[..., Sequence[DensePart]], *sizes: int) -> MakeParts:
    """Return a pattern's parts for its sizes: for the same ones the same, so costs are kept."""
    return partial(parts, *sizes)


class BlockSparse(NamedTuple):
    """A pattern as a union of disjoint parts of blocks. It is a FastPath."""

    stride: int
    parts: MakeParts

    @property
    def full_length(self) -> int:
        """See FastPath."""
        return self.stride

    def is_worthwhile(self, length: int, *, causal: bool) -> bool:
        """Return True if parts are cheaper than a dense mask for texts of `length` tokens."""
        if length <= self.full_length:
            return False
        return self.cost(length, causal=causal) < length**2

    def cost(self, length: int, *, causal: bool) -> int:
        """Return what a text of `length` tokens costs in parts, in pairs of a dense mask."""
        return _cost(self.parts, _count_blocks(length, self.stride), self.stride, causal)

    def attend(self, scope: Scope, tokens: Tokens, make_mask: MakeMask) -> Attend | None:
        """See FastPath. There is none where scores have a positional bias or are capped."""
        del make_mask
        length, causal = tokens.positions_BT.size(1), scope.causal
        is_plain = not scope.positions.has_bias and scope.config.attention_softcap is None
        if not is_plain or not self.is_worthwhile(length, causal=causal):
            return None
        sees_padding = not causal and (not tokens.unpadded or length % self.stride > 0)
        padding_BT = tokens.positions_BT.expand(tokens.rows, -1) < 0 if sees_padding else None
        parts = self.parts(_count_blocks(length, self.stride), causal)
        return partial(
            block_sparse_attention, stride=self.stride, parts=parts, padding_BT=padding_BT
        )


@lru_cache
def _cost(parts: MakeParts, blocks: int, stride: int, causal: bool) -> int:
    queries, pairs = count_pairs(parts(blocks, causal), blocks, stride)
    return pairs + _PART_COST * queries


def block_sparse_attention(
    q_BTHK: Tensor,
    k_BTGK: Tensor,
    v_BTGK: Tensor,
    *,
    scale: float,
    stride: int,
    parts: Sequence[DensePart],
    padding_BT: Tensor | None = None,
    softcap: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Attend in parts of blocks, (B, T, H, K): equal to dense attention with the pattern's mask.

    `padding_BT` None: none that is seen.
    """
    assert softcap is None, "scores of parts are not capped"
    length, dtype = q_BTHK.size(1), q_BTHK.dtype
    q, k, v = (_in_blocks(x, stride) for x in (q_BTHK, k_BTGK, v_BTGK))
    if q_BTHK.device.type == "cpu" and dtype.itemsize == 2:  # slow there, as in dense.py
        q, k, v = q.float(), k.float(), v.float()
    bias = None
    if padding_BT is not None:
        padding_BNC11 = _in_blocks(padding_BT[..., None, None], stride, fill=True)
        bias = torch.zeros_like(padding_BNC11, dtype=q.dtype)
        bias = bias.masked_fill(padding_BNC11, HIDDEN).expand(-1, -1, -1, q_BTHK.size(2), -1)
    kernel = choose_kernel(q_BTHK.device, dropout)
    with torch.autocast(q_BTHK.device.type, enabled=False):
        out_BNCHK = merged_attention(q, k, v, MergePlan(parts, bias, scale, dropout, kernel))
    return out_BNCHK.flatten(1, 2)[:, :length].to(dtype)


def _in_blocks(x_BTHK: Tensor, stride: int, *, fill: bool = False) -> Tensor:
    """Cut a text into blocks, (B, N, C, H, K), the last one filled up."""
    missing = -x_BTHK.size(1) % stride
    filled = F.pad(x_BTHK, (0, 0, 0, 0, 0, missing), value=fill) if missing else x_BTHK
    return torch.unflatten(filled, 1, (-1, stride))


def _count_blocks(length: int, stride: int) -> int:
    return -(-length // stride)


def strided_parts(blocks: int, causal: bool) -> list[DensePart]:
    """Return the parts of a band of one block, and of all distances that are multiples of it.

    They are a token's own block; distances up to the stride in the block before, which is the
    triangle that the own block leaves; and the tokens of its rank two or more blocks before. In an
    encoder the last two are mirrored.
    """
    own = DensePart(_all, _all, causal=causal, ahead=not causal)
    earlier = []
    if blocks > 1:
        earlier.append(DensePart(_from(1), _until(1), causal=True, flipped=True))
    if blocks > 2:
        earlier.append(DensePart(_of_ranks(_from(2)), _of_ranks(_until(2)), causal=True))
    mirrored = [DensePart(p.keys, p.queries, True, not p.flipped, ahead=True) for p in earlier]
    return [own, *earlier] if causal else [own, *earlier, *mirrored]


def window_parts(global_tokens: int, blocks: int, causal: bool) -> list[DensePart]:
    """Return the parts of a window of a block, two tokens or more, and the first tokens before it.

    They are a token's own block; distances below its length in the block before, mirrored in an
    encoder; and in a decoder the first tokens, at most a block of them: those that the window has
    left in the second block, and all from the third on.
    """
    own = DensePart(_all, _all, causal=causal, ahead=not causal)
    if blocks == 1:
        return [own]
    before = DensePart(_but_last, _but_first, causal=True, flipped=True)
    if not causal:
        return [own, before, DensePart(before.keys, before.queries, True, ahead=True)]
    if not global_tokens:
        return [own, before]
    first = partial(_first_tokens, count=global_tokens)
    parts = [own, before, DensePart(lambda x_BNCHK: x_BNCHK[:, 1:2], first, causal=True)]
    later = DensePart(lambda x_BNCHK: x_BNCHK[:, None, 2:], first)
    return [*parts, later] if blocks > 2 else parts


def fixed_parts(summary_tokens: int, stride: int, blocks: int, causal: bool) -> list[DensePart]:
    """Return the parts of a token's own block, and of the last `summary_tokens` of each other one.

    In an encoder, where all see all of these, a block's own are no part of it.
    """
    others = stride - summary_tokens
    if causal:
        return [DensePart(_all, _all, causal=True), *_halves(blocks, others)]
    own = DensePart(_all, lambda x_BNCHK: x_BNCHK[:, :, :others], ahead=True)
    summaries = DensePart(_as_one, lambda x_BNCHK: _as_one(x_BNCHK)[:, :, :, others:], ahead=True)
    return [own, summaries] if others else [summaries]


def _halves(blocks: int, others: int) -> Iterator[DensePart]:
    """Yield a text's second half and the summaries of the first, then so of each half, ….

    So each block sees the summaries of all before it, in rectangles of log2(N) sizes. What comes
    before a summary in its block are `others`.
    """
    size = 1
    while size < blocks:
        pairs, rest = divmod(blocks, 2 * size)
        if pairs:
            yield _second_half(partial(_grouped, groups=pairs, size=2 * size), size, others)
        if rest > size:
            yield _second_half(partial(_last, blocks=rest), size, others)
        size *= 2


def _second_half(groups: View, size: int, others: int) -> DensePart:
    """Return the part of groups of blocks, (B, X, N, C, H, K), whose first `size` it sees."""
    return DensePart(
        lambda x_BNCHK: groups(x_BNCHK)[:, :, size:],
        lambda x_BNCHK: groups(x_BNCHK)[:, :, :size, others:],
    )


def _all(x_BNCHK: Tensor) -> Tensor:
    return x_BNCHK


def _from(start: int) -> View:
    return lambda x_BNCHK: x_BNCHK[:, start:]


def _until(end: int) -> View:
    return lambda x_BNCHK: x_BNCHK[:, :-end]


def _but_last(x_BNCHK: Tensor) -> Tensor:
    return x_BNCHK[:, 1:, :-1]


def _but_first(x_BNCHK: Tensor) -> Tensor:
    return x_BNCHK[:, :-1, 1:]


def _first_tokens(x_BNCHK: Tensor, *, count: int) -> Tensor:
    return x_BNCHK[:, :1, :count]


def _of_ranks(blocks: View) -> View:
    """Return the view by which tokens of the same rank in their blocks are a problem.

    Ranks stand beside heads.
    """
    return lambda x_BNCHK: blocks(x_BNCHK).flatten(2, 3)[:, None]


def _as_one(x_BNCHK: Tensor) -> Tensor:
    return x_BNCHK[:, None]


def _grouped(x_BNCHK: Tensor, *, groups: int, size: int) -> Tensor:
    return torch.unflatten(x_BNCHK[:, : groups * size], 1, (groups, size))


def _last(x_BNCHK: Tensor, *, blocks: int) -> Tensor:
    return x_BNCHK[:, None, -blocks:]
