"""Key-value caches for decoding.

Each row has its own position, so rows of one batch may have prompts of different lengths and may
come and go. A forward pass calls `start_forward` once, which returns the positions of the visible
keys, then `update` once a layer. Callers pass in what the host knows (which rows go on, how long
the longest row is), so that a cache never waits for a GPU.
Shape suffixes: B rows, T new tokens, S visible slots, G key heads, K head width.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, Self

import torch
from torch import Tensor

from .buffers import Buffers, concatenate_rows, gather_rows, in_blocks
from .config import TransformerConfig
from .errors import ConfigError

KeysValues = tuple[Tensor, Tensor]


class CacheSize(NamedTuple):
    """Sizes of a new cache: its layers, its rows and the tokens of the longest; and its place."""

    layers: int
    rows: int
    tokens: int
    device: torch.device
    dtype: torch.dtype


def no_tokens_back(kind: str) -> ConfigError:
    """Return the error of a kind of attention whose cache cannot forget single tokens."""
    return ConfigError(
        f"the cache of {kind} cannot take tokens back, as speculative decoding must: leave out "
        "--draft and --lookup"
    )


class Cache(Protocol):
    """The cache of self-attention in layers that are alike, which are numbered from 0."""

    def reorder(self, rows: Sequence[int], lengths: Sequence[int] | None = None) -> None:
        """Gather rows: row r becomes row `rows[r]`, so that rows are repeated or dropped.

        Where there are as many as before, in place: a captured step goes on with the same tensors.
        `lengths` are the tokens of each row before; None: they are not known.
        """
        ...

    def append_rows(self, other: Self) -> None:
        """Append the rows of another cache of the same kind to these."""
        ...

    def truncate(self, length: int) -> None:
        """Forget positions from `length` on; later tokens overwrite them.

        Raises ConfigError where the cache cannot forget.
        """
        ...


class KeyValueCache(Cache, Protocol):
    """A cache of keys and values, by their positions."""

    def start_forward(self, positions_BT: Tensor, longest: int) -> Tensor:
        """Make room for new tokens and return the positions (B or 1, S) of all visible keys.

        Position -1 is padding, which is not stored. `longest` is the number of tokens of the
        longest row, the new ones included.
        """
        ...

    def update(self, layer: int, k_BTGK: Tensor, v_BTGK: Tensor) -> KeysValues:
        """Store one layer's new keys and values and return all visible ones, (B, S, G, K) each."""
        ...


class SelfAttentionCache:
    """The caches of a decoder's self-attention: one for all layers that are alike."""

    def __init__(self, parts: list[Cache]) -> None:
        self.parts = parts

    def reorder(self, rows: Sequence[int], lengths: Sequence[int] | None = None) -> None:
        """See Cache."""
        for part in self.parts:
            part.reorder(rows, lengths)

    def append_rows(self, other: Self) -> None:
        """See Cache."""
        for mine, theirs in zip(self.parts, other.parts, strict=True):
            mine.append_rows(theirs)

    def truncate(self, length: int) -> None:
        """See Cache."""
        for part in self.parts:
            part.truncate(length)


class _LayerBuffers(Buffers):
    """Keys and values of each layer in turn, laid out by heads: (rows, G, slots + 1, K)."""

    def __init__(self, config: TransformerConfig, size: CacheSize, slots: int) -> None:
        shape = (size.rows, config.key_value_heads, slots + 1, config.head_width)
        super().__init__(torch.empty(2 * size.layers, *shape, device=size.device, dtype=size.dtype))
        self._visible: Sequence[Tensor] = []

    def start_forward(self, slots_BT: Tensor, used: int) -> None:
        """Find the slots that are written and the `used` ones that are read, for all layers."""
        self._places_N = self.places(slots_BT)
        self._visible = [part_BGSK.transpose(1, 2) for part_BGSK in self.read(used)]

    def write_layer(self, layer: int, k_BTGK: Tensor, v_BTGK: Tensor) -> None:
        """Write one layer's new keys and values."""
        self.write(2 * layer, self._places_N, k_BTGK)
        self.write(2 * layer + 1, self._places_N, v_BTGK)

    def layer(self, layer: int) -> KeysValues:
        """Return one layer's visible keys and values, (B, used, G, K) each."""
        return self._visible[2 * layer], self._visible[2 * layer + 1]


class StaticCache:
    """A cache with position p in slot p and room for the longest text."""

    def __init__(self, config: TransformerConfig, size: CacheSize) -> None:
        self._buffers = _LayerBuffers(config, size, in_blocks(size.tokens))
        self._tokens, self._used = size.tokens, 0

    def start_forward(self, positions_BT: Tensor, longest: int) -> Tensor:
        """See Cache. Slots not yet written lie after every query, so causality hides them.

        Raises ValueError where `longest` exceeds the slots asked for.
        """
        if longest > self._tokens:
            raise ValueError(f"position {longest} in a cache of {self._tokens} slots")
        self._used = in_blocks(longest)
        self._buffers.start_forward(positions_BT, self._used)
        return torch.arange(self._used, device=positions_BT.device)[None]

    def update(self, layer: int, k_BTGK: Tensor, v_BTGK: Tensor) -> KeysValues:
        """See Cache."""
        self._buffers.write_layer(layer, k_BTGK, v_BTGK)
        return self._buffers.layer(layer)

    def reorder(self, rows: Sequence[int], lengths: Sequence[int] | None = None) -> None:
        """See Cache. Causality hides what is left of a row's former text."""
        self._buffers.reorder(rows, lengths)

    def append_rows(self, other: Self) -> None:
        """See Cache."""
        self._buffers.append_rows(other._buffers)
        self._tokens = max(self._tokens, other._tokens)
        self._used = max(self._used, other._used)

    def truncate(self, length: int) -> None:
        """See Cache. Causality hides forgotten positions, as it hides those not yet written."""
        self._used = in_blocks(length)


class RingCache:
    """A cache of constant size: the last `window` positions and the first `global_tokens`.

    Position p ≥ g is in slot g + (p - g) mod window, where g is the number of global tokens.
    """

    def __init__(self, config: TransformerConfig, size: CacheSize) -> None:
        self._global_tokens = min(config.global_tokens, size.tokens)
        room = in_blocks(size.tokens) - self._global_tokens
        self._window = max(1, min(config.window, room))
        self._buffers = _LayerBuffers(config, size, self._global_tokens + self._window)
        shape = (size.rows, self._buffers.slots + 1)
        self._positions_BS = torch.full(shape, -1, dtype=torch.long, device=size.device)

    def start_forward(self, positions_BT: Tensor, longest: int) -> Tensor:
        """See Cache. Several new tokens at once see a copy of the old ring beside themselves.

        Writing the last of them overwrites what the first still see.
        """
        del longest
        slots_BT = self._slots(positions_BT)
        self._buffers.start_forward(slots_BT, self._buffers.slots)
        old_BS = self._positions_BS[:, :-1].clone()
        self._positions_BS.scatter_(1, slots_BT, positions_BT)
        if positions_BT.size(1) == 1:
            return self._positions_BS[:, :-1]
        return torch.cat([old_BS, positions_BT], dim=1)

    def _slots(self, positions_BT: Tensor) -> Tensor:
        """Return the slots (B, T) of positions; the last slot is for what is not kept."""
        global_tokens, window = self._global_tokens, self._window
        slots = global_tokens + (positions_BT - global_tokens) % window
        slots = torch.where(positions_BT < global_tokens, positions_BT, slots)
        last_B1 = positions_BT.amax(dim=1, keepdim=True)
        overwritten = (positions_BT <= last_B1 - window) & (positions_BT >= global_tokens)
        unused = self._buffers.slots
        return torch.where(overwritten | (positions_BT < 0), unused, slots)

    def update(self, layer: int, k_BTGK: Tensor, v_BTGK: Tensor) -> KeysValues:
        """See Cache."""
        several = k_BTGK.size(1) > 1
        old = self._buffers.layer(layer)
        visible = (
            (torch.cat([old[0], k_BTGK], 1), torch.cat([old[1], v_BTGK], 1)) if several else old
        )
        self._buffers.write_layer(layer, k_BTGK, v_BTGK)
        return visible

    def reorder(self, rows: Sequence[int], lengths: Sequence[int] | None = None) -> None:
        """See Cache. Until a ring wraps around, its slots are filled from the first one on."""
        self._buffers.reorder(rows, lengths)
        rows_R = torch.tensor(rows, dtype=torch.long, device=self._positions_BS.device)
        self._positions_BS = gather_rows(self._positions_BS, rows_R)

    def append_rows(self, other: Self) -> None:
        """See Cache. Rings of different sizes may be joined.

        A ring is smaller than another only if it has room for all of its texts. It never wraps
        around, so each position is in the slot of its number, as in the larger ring.
        """
        self._buffers.append_rows(other._buffers)
        self._global_tokens = max(self._global_tokens, other._global_tokens)
        self._window = self._buffers.slots - self._global_tokens
        mine_BS, theirs_BS = (cache._positions_BS[:, :-1] for cache in (self, other))
        size = self._buffers.slots + 1
        self._positions_BS = concatenate_rows(mine_BS, theirs_BS, size, value=-1)

    def truncate(self, length: int) -> None:
        """Raise ConfigError: a ring has overwritten what earlier positions would still see."""
        raise no_tokens_back("a sliding window")
