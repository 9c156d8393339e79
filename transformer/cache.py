"""Keys and values of positions already decoded.

Each row stands at its own position, so rows of one batch may have prompts of different lengths and
may come and go. A forward pass calls `begin` once, which says where the visible keys stand, then
`extend` once a layer. What the host knows (which rows stay, how long the longest is) it is told, so
that nothing is read from a GPU. Shape suffixes: B rows, T new tokens, S visible slots, G key heads,
K width.
"""

from collections.abc import Sequence
from typing import Protocol, Self

import torch
from torch import Tensor

from .config import TransformerConfig
from .errors import ConfigError

KeysValues = tuple[Tensor, Tensor]


class Cache(Protocol):
    """What the decoder asks of the cache of its self-attention."""

    def start_forward(self, positions_BT: Tensor, longest: int) -> Tensor:
        """Make room for new tokens (-1: padding, kept nowhere), with which the longest row has
        `longest`. Returns key positions (B, S)."""
        ...

    def update(self, layer: int, k_BTGK: Tensor, v_BTGK: Tensor) -> KeysValues:
        """Store one layer's new keys and values; return all visible ones, (B, S, G, K) each."""
        ...

    def reorder(self, rows: Sequence[int]) -> None:
        """Row r becomes what row `rows[r]` was; rows may be repeated, dropped or added."""
        ...

    def append_rows(self, other: Self) -> None:
        """Take in the rows of another cache of the same kind, after those that are here."""
        ...

    def truncate(self, length: int) -> None:
        """No row is longer than this now: what stood at later positions is taken back, and is
        overwritten when they come again. Raises ConfigError where nothing can be taken back."""
        ...


class Buffers:
    """Several buffers (rows, slots + 1, …), with room for more rows. The last slot takes what is
    not kept: position -1 writes there, and nothing reads it."""

    def __init__(self, parts: Sequence[Tensor]) -> None:
        self.parts = list(parts)
        self.rows, self.slots = self.parts[0].size(0), self.parts[0].size(1) - 1

    def write(self, place: int, slots_BT: Tensor, values_BT: Tensor) -> None:
        """Put values (B, T, …) into slots of one buffer."""
        rows_B1 = torch.arange(len(slots_BT), device=slots_BT.device)[:, None]
        self.parts[place][rows_B1, slots_BT] = values_BT

    def read(self, place: int, used: int) -> Tensor:
        """The first slots of one buffer, (B, used, …)."""
        return self.parts[place][: self.rows, :used]

    def reorder(self, rows: Sequence[int], used: int) -> None:
        """Rows that stay where they are are not copied."""
        if len(rows) > len(self.parts[0]):
            self._resize(len(rows), self.slots)
        moved = [(place, row) for place, row in enumerate(rows) if place != row]
        if moved:
            to, source = torch.tensor(moved, device=self.parts[0].device).unbind(dim=1)
            for part in self.parts:
                kept = part[:, :used]
                kept.index_copy_(0, to, kept.index_select(0, source))
        self.rows = len(rows)

    def append_rows(self, other: "Buffers", used: int) -> None:
        """Take another's rows in after these; `used` of its slots have been written."""
        rows, slots = self.rows + other.rows, max(self.slots, other.slots)
        if rows > len(self.parts[0]) or slots > self.slots:
            self._resize(rows, slots)
        for mine, part in zip(self.parts, other.parts, strict=True):
            mine[self.rows : rows, :used] = part[: other.rows, :used]
        self.rows = rows

    def _resize(self, rows: int, slots: int) -> None:
        """Make room, for more than is asked, so that it need not be made again soon."""
        had, old = len(self.parts[0]), self.slots
        rows = rows + rows // 2 if rows > had else had
        for place, part in enumerate(self.parts):
            larger = part.new_zeros((rows, slots + 1, *part.shape[2:]))
            larger[: self.rows, :old] = part[: self.rows, :old]
            self.parts[place] = larger
        self.slots = slots


class _KeysValues(Buffers):
    """Keys and values (rows, slots + 1, G, K) of each layer."""

    def __init__(
        self,
        config: TransformerConfig,
        rows: int,
        slots: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        shape = (rows, slots + 1, config.key_value_heads, config.head_width)
        parts = range(2 * config.decoder_layers)
        super().__init__([torch.zeros(shape, device=device, dtype=dtype) for _ in parts])

    def keep(self, layer: int, slots_BT: Tensor, k_BTGK: Tensor, v_BTGK: Tensor) -> None:
        """Put one layer's new keys and values into slots."""
        self.write(2 * layer, slots_BT, k_BTGK)
        self.write(2 * layer + 1, slots_BT, v_BTGK)

    def seen(self, layer: int, used: int) -> KeysValues:
        """One layer's keys and values in the first slots."""
        return self.read(2 * layer, used), self.read(2 * layer + 1, used)


class StaticCache:
    """Position p in slot p of buffers as long as the longest text will be."""

    def __init__(
        self,
        config: TransformerConfig,
        rows: int,
        size: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self._buffers = _KeysValues(config, rows, size, device, dtype)
        self._used = 0

    def start_forward(self, positions_BT: Tensor, longest: int) -> Tensor:
        """See Cache. Slots not yet written lie after every query, so causality hides them."""
        self._slots_BT = positions_BT
        self._used = longest
        if self._used > self._buffers.slots:
            raise ValueError(f"position {self._used} in a cache of {self._buffers.slots} slots")
        return torch.arange(self._used, device=positions_BT.device)[None]

    def update(self, layer: int, k_BTGK: Tensor, v_BTGK: Tensor) -> KeysValues:
        """See Cache."""
        self._buffers.keep(layer, self._slots_BT, k_BTGK, v_BTGK)
        return self._buffers.seen(layer, self._used)

    def reorder(self, rows: Sequence[int]) -> None:
        """See Cache."""
        self._buffers.reorder(rows, self._used)

    def append_rows(self, other: Self) -> None:
        """See Cache."""
        self._buffers.append_rows(other._buffers, other._used)
        self._used = max(self._used, other._used)

    def truncate(self, length: int) -> None:
        """See Cache. Causality hides what is taken back, as it hides what is not yet written."""
        self._used = length


class RingCache:
    """The last `window` positions and the first `global_tokens`: memory that does not grow.

    Position p ≥ g stands in slot g + (p - g) mod window, g being the global tokens.
    """

    def __init__(
        self,
        config: TransformerConfig,
        rows: int,
        size: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self._first = min(config.global_tokens, size)
        self._window = max(1, min(config.window, size - self._first))
        self._buffers = _KeysValues(config, rows, self._first + self._window, device, dtype)
        shape = (rows, self._buffers.slots + 1)
        self._positions_BS = torch.full(shape, -1, dtype=torch.long, device=device)

    def start_forward(self, positions_BT: Tensor, longest: int) -> Tensor:
        """See Cache. Several new tokens at once see the old ring beside themselves, for writing
        the last of them overwrites what the first still see."""
        del longest
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

    def update(self, layer: int, k_BTGK: Tensor, v_BTGK: Tensor) -> KeysValues:
        """See Cache."""
        several = k_BTGK.size(1) > 1
        old = self._buffers.seen(layer, self._buffers.slots)
        seen = (torch.cat([old[0], k_BTGK], 1), torch.cat([old[1], v_BTGK], 1)) if several else old
        self._buffers.keep(layer, self._slots_BT, k_BTGK, v_BTGK)
        return seen

    def reorder(self, rows: Sequence[int]) -> None:
        """See Cache."""
        self._buffers.reorder(rows, self._buffers.slots)
        rows_R = torch.tensor(rows, dtype=torch.long, device=self._positions_BS.device)
        self._positions_BS = self._positions_BS[rows_R]

    def append_rows(self, other: Self) -> None:
        """See Cache. A ring no longer than its texts has not come round: each position stands in
        the slot of its number, where it also stands in a longer ring."""
        self._buffers.append_rows(other._buffers, other._buffers.slots)
        self._first = max(self._first, other._first)
        self._window = self._buffers.slots - self._first
        mine_BS, theirs_BS = (cache._positions_BS[:, :-1] for cache in (self, other))
        size = self._buffers.slots + 1
        self._positions_BS = _joined(mine_BS, theirs_BS, size, value=-1)

    def truncate(self, length: int) -> None:
        """See Cache. A ring has overwritten what the positions before would still see."""
        raise ConfigError(
            "a sliding window's cache cannot take tokens back, which speculative decoding needs; "
            "use greedy search or sampling"
        )


class CrossAttentionCache:
    """What the encoder found, as each decoder layer's cross keys and values, computed once.

    Rows that follow one another and are about the same text, as beams are, share one entry:
    row r reads entry r // copies. `lengths` are the texts' in tokens, padding left out.
    """

    def __init__(self, layers: list[KeysValues], lengths: Sequence[int], mask_B11S: Tensor) -> None:
        self.layers = layers
        self.lengths = list(lengths)
        self.mask_B11S = mask_B11S
        self.copies = 1

    def reorder(self, rows: Sequence[int], copies: int) -> None:
        """Row r becomes what row `rows[r]` was; every `copies` rows are about the same text."""
        entries = [row // self.copies for row in rows[::copies]]
        self.copies = copies
        self._select(entries)

    def _select(self, entries: list[int]) -> None:
        if entries == list(range(len(self.lengths))):
            return
        self.lengths = [self.lengths[entry] for entry in entries]
        longest = max(self.lengths, default=0)
        entries_B = torch.tensor(entries, dtype=torch.long, device=self.mask_B11S.device)
        self.layers = [(k[entries_B, :longest], v[entries_B, :longest]) for k, v in self.layers]
        self.mask_B11S = self.mask_B11S[entries_B, :, :, :longest]

    def append_rows(self, other: Self) -> None:
        """Take in the rows of another, after those that are here."""
        for memory in (self, other):
            if self.copies != other.copies:
                memory.expand()
        size = max(self.mask_B11S.size(-1), other.mask_B11S.size(-1))
        self.layers = [
            (_joined(k, other_k, size), _joined(v, other_v, size))
            for (k, v), (other_k, other_v) in zip(self.layers, other.layers, strict=True)
        ]
        seen_BS = _joined(self.mask_B11S[:, 0, 0], other.mask_B11S[:, 0, 0], size)
        self.mask_B11S = seen_BS[:, None, None]
        self.lengths += other.lengths

    def expand(self) -> None:
        """Give each row an entry of its own."""
        self._select([entry for entry in range(len(self.lengths)) for _ in range(self.copies)])
        self.copies = 1


def _joined(a_BS: Tensor, b_BS: Tensor, size: int, *, value: int = 0) -> Tensor:
    """Both, one after the other, with rows lengthened to `size`."""
    joined = a_BS.new_full((len(a_BS) + len(b_BS), size, *a_BS.shape[2:]), value)
    joined[: len(a_BS), : a_BS.size(1)] = a_BS
    joined[len(a_BS) :, : b_BS.size(1)] = b_BS
    return joined
