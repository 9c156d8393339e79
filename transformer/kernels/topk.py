"""The largest values of each row, on a CPU faster than torch.topk and argmax where rows are long.

Shape suffixes: R rows, V values of a row, B blocks, W values of a block, C chosen.
"""

import torch
from torch import Tensor

_BLOCK = 64


def blockwise_argmax(values_RV: Tensor) -> Tensor:
    """Return the index (R) of each row's largest value, as argmax does: of equal ones the first."""
    rows, size = values_RV.shape
    blocks = size // _BLOCK
    if values_RV.device.type != "cpu" or rows * blocks < 1000:  # for few it costs more
        return values_RV.argmax(dim=-1)
    end, each_R = blocks * _BLOCK, torch.arange(rows)
    whole_RBW = values_RV[:, :end].view(rows, blocks, _BLOCK)
    blocks_R = whole_RBW.amax(dim=-1).argmax(dim=-1)
    found_R = blocks_R * _BLOCK + whole_RBW[each_R, blocks_R].argmax(dim=-1)
    tail_R = values_RV[:, end - 1 :].argmax(dim=-1) + end - 1
    return torch.where(values_RV[each_R, tail_R] > values_RV[each_R, found_R], tail_R, found_R)


def blockwise_top_k(values_RV: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the `count` largest values of each row and their indices, (R, C) each.

    They are in descending order; where a row has fewer values, all of them are returned. The
    largest values are in the blocks with the largest maxima: finding these is one pass at the
    memory's speed, and leaves few values to sort.
    """
    rows, size = values_RV.shape
    blocks = size // _BLOCK
    if values_RV.device.type != "cpu" or blocks < 4 * count:
        return tuple(values_RV.topk(min(count, size)))  # type: ignore[return-value]
    whole_RBW = values_RV[:, : blocks * _BLOCK].view(rows, blocks, _BLOCK)
    blocks_RC = whole_RBW.amax(dim=-1).topk(count).indices
    candidates = whole_RBW.gather(1, blocks_RC[:, :, None].expand(-1, -1, _BLOCK)).flatten(1)
    offsets = torch.arange(_BLOCK, device=values_RV.device)
    indices = (blocks_RC[:, :, None] * _BLOCK + offsets).flatten(1)
    if remainder := size - blocks * _BLOCK:
        candidates = torch.cat([candidates, values_RV[:, -remainder:]], dim=1)
        tail = torch.arange(size - remainder, size, device=values_RV.device).expand(rows, -1)
        indices = torch.cat([indices, tail], dim=1)
    top_RC, chosen_RC = candidates.topk(count)
    return top_RC, indices.gather(1, chosen_RC)
