"""Keys and values of positions already decoded.

Each row stands at its own position, so rows of one batch may have prompts of different lengths and
may come and go. A forward pass calls `begin` once, which says where the visible keys stand, then
`extend` once a layer. Shape suffixes: B rows, T new tokens, S visible slots, G key heads, K width.
"""

from typing import Protocol

import torch
from torch import Tensor

from .config import TransformerConfig

KeysValues = tuple[Tensor, Tensor]


class Cache(Protocol):
    """What the decoder asks of the cache of its self-attention."""

    def begin(self, positions_BT: Tensor) -> Tensor:
        """Make room for new tokens (-1: padding, kept nowhere). Returns key positions (B, S)."""
        ...

    def extend(self, layer: int, k_BTGK: Tensor, v_BTGK: Tensor) -> KeysValues:
        """Store one layer's new keys and values; return all visible ones, (B, S, G, K) each."""
        ...

    def reorder(self, rows_R: Tensor) -> None:
        """Row r becomes what row `rows_R[r]` was; rows may be repeated, dropped or added."""
        ...


class _Buffers:
    """Zeroed buffers (rows, slots + 1, G, K), two a layer. The last slot takes what is not kept:
    position -1 writes there, and nothing reads it."""

    def __init__(self, config: TransformerConfig, rows: int, slots: int, like: Tensor) -> None:
        self.slots = slots
        shape = (rows, slots + 1, config.key_value_heads, config.head_width)
        layers = range(config.decoder_layers)
        self.keys = [like.new_zeros(shape) for _ in layers]
        self.values = [like.new_zeros(shape) for _ in layers]

    def write(self, layer: int, slots_BT: Tensor, k_BTGK: Tensor, v_BTGK: Tensor) -> None:
        rows_B1 = torch.arange(len(slots_BT), device=slots_BT.device)[:, None]
        self.keys[layer][rows_B1, slots_BT] = k_BTGK
        self.values[layer][rows_B1, slots_BT] = v_BTGK

    def read(self, layer: int, used: int) -> KeysValues:
        return self.keys[layer][:, :used], self.values[layer][:, :used]

    def reorder(self, rows_R: Tensor, used: int) -> None:
        for buffers in (self.keys, self.values):
            for layer, old in enumerate(buffers):
                new = old.new_zeros((len(rows_R), *old.shape[1:]))
                new[:, :used] = old[rows_R, :used]
                buffers[layer] = new


class StaticCache:
    """Position p in slot p of buffers as long as the longest text will be."""

    def __init__(self, config: TransformerConfig, rows: int, size: int, like: Tensor) -> None:
        self._buffers = _Buffers(config, rows, size, like)
        self._used = 0

    def begin(self, positions_BT: Tensor) -> Tensor:
        """See Cache. Slots not yet written lie after every query, so causality hides them."""
        self._slots_BT = positions_BT
        self._used = max(self._used, int(positions_BT.max()) + 1)
        if self._used > self._buffers.slots:
            raise ValueError(f"position {self._used} in a cache of {self._buffers.slots} slots")
        return torch.arange(self._used, device=positions_BT.device)[None]

    def extend(self, layer: int, k_BTGK: Tensor, v_BTGK: Tensor) -> KeysValues:
        """See Cache."""
        self._buffers.write(layer, self._slots_BT, k_BTGK, v_BTGK)
        return self._buffers.read(layer, self._used)

    def reorder(self, rows_R: Tensor) -> None:
        """See Cache."""
        self._buffers.reorder(rows_R, self._used)


class RingCache:
    """The last `window` positions and the first `global_tokens`: memory that does not grow.

    Position p ≥ g stands in slot g + (p - g) mod window, g being the global tokens.
    """

    def __init__(self, config: TransformerConfig, rows: int, size: int, like: Tensor) -> None:
        self._first = min(config.global_tokens, size)
        self._window = max(1, min(config.window, size - self._first))
        self._buffers = _Buffers(config, rows, self._first + self._window, like)
        shape = (rows, self._buffers.slots + 1)
        self._positions_BS = torch.full(shape, -1, dtype=torch.long, device=like.device)

    def begin(self, positions_BT: Tensor) -> Tensor:
        """See Cache. Several new tokens at once see the old ring beside themselves, for writing
        the last of them overwrites what the first still see."""
        self._slots_BT = self._slots(positions_BT)
        old_BS = self._positions_BS[:, :-1].clone()
        self._positions_BS.scatter_(1, self._slots_BT, positions_BT)
        if positions_BT.size(1) == 1:
            return self._positions_BS[:, :-1]
        return torch.cat([old_BS, positions_BT], dim=1)

    def _slots(self, positions_BT: Tensor) -> Tensor:
        first, window = self._first, self._window
        slots = first + (positions_BT - first) % window
        slots = torch.where(positions_BT < first, positions_BT, slots)
        last_B1 = positions_BT.amax(dim=1, keepdim=True)
        overwritten = (positions_BT <= last_B1 - window) & (positions_BT >= first)
        nowhere = self._buffers.slots
        return torch.where(overwritten | (positions_BT < 0), nowhere, slots)

    def extend(self, layer: int, k_BTGK: Tensor, v_BTGK: Tensor) -> KeysValues:
        """See Cache."""
        several = k_BTGK.size(1) > 1
        old = self._buffers.read(layer, self._buffers.slots)
        seen = (torch.cat([old[0], k_BTGK], 1), torch.cat([old[1], v_BTGK], 1)) if several else old
        self._buffers.write(layer, self._slots_BT, k_BTGK, v_BTGK)
        return seen

    def reorder(self, rows_R: Tensor) -> None:
        """See Cache."""
        self._buffers.reorder(rows_R, self._buffers.slots)
        self._positions_BS = self._positions_BS[rows_R]


class Memory:
    """What the encoder found, as each decoder layer's cross keys and values, computed once."""

    def __init__(self, layers: list[KeysValues], positions_BS: Tensor) -> None:
        self.layers = layers
        self.positions_BS = positions_BS

    def reorder(self, rows_R: Tensor) -> None:
        """Row r becomes what row `rows_R[r]` was."""
        self.layers = [(k[rows_R], v[rows_R]) for k, v in self.layers]
        self.positions_BS = self.positions_BS[rows_R]
