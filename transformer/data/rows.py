"""Rows of ids as padded tensors."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..inputs import ModelInputs
from ..masks import padded_positions

Row = Sequence[int]


def pad(rows: Sequence[Row], value: int, *, size: int | None = None) -> Tensor:
    """Return rows of ids as one tensor (B, longest or size), padded on the right with `value`."""
    size = max(len(row) for row in rows) if size is None else size
    padded = np.full((len(rows), size), value, dtype=np.int64)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = row
    return torch.from_numpy(padded)


def pad_rows(
    rows: Sequence[Row], device: torch.device, *, global_tokens: Sequence[Row | None] = ()
) -> ModelInputs:
    """Return rows of ids as inputs (B, longest), padded on the right; see pad_global."""
    ids_BT = pad(rows, 0).to(device)
    lengths = [len(row) for row in rows]
    positions_BT = padded_positions(torch.tensor(lengths, device=device), ids_BT.size(1))
    global_BG = pad_global(global_tokens, lengths, device)
    return ModelInputs(ids_BT, positions_BT, global_tokens_BG=global_BG)


def pad_global(
    rows: Sequence[Row | None], lengths: Sequence[int], device: torch.device
) -> Tensor | None:
    """Return the indices of rows' global tokens (B, G); None where each has its first.

    What lies beyond a row's length is left out.
    """
    if all(row is None for row in rows):
        return None
    within = [
        [index for index in ([0] if row is None else row) if index < length]
        for row, length in zip(rows, lengths, strict=True)
    ]
    return pad(within, -1).to(device)
