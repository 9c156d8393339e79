"""Global tokens: those of each text that see all others and are seen by all.

Shape suffixes: B batch, T tokens, G global tokens.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class GlobalTokens(NamedTuple):
    """Indices of tokens (B, G) in their rows, each once; -1 where a row has fewer than others."""

    indices_BG: Tensor

    @classmethod
    def first(cls, number: int, tokens_BT: Tensor) -> "GlobalTokens":
        """Return the first tokens of each row."""
        number = min(number, tokens_BT.size(1))
        counted_G = torch.arange(number, device=tokens_BT.device)
        return cls(counted_G.expand(len(tokens_BT), -1))

    @property
    def most(self) -> int:
        """The number of global tokens in the row that may have most of them."""
        return self.indices_BG.size(1)

    def gather(self, x_BT: Tensor) -> Tensor:
        """Return what global tokens have of `x_BT` (B, T, …), (B, G, …); -1 has the first's."""
        return x_BT.gather(1, _spread(self.indices_BG.clamp(min=0), x_BT))

    def positions(self, positions_BT: Tensor) -> Tensor:
        """Return the positions of global tokens, (B, G); those of -1 are padding."""
        return torch.where(self.indices_BG < 0, -1, self.gather(positions_BT))

    def put(self, x_BT: Tensor, values_BG: Tensor) -> Tensor:
        """Return `x_BT` (B, T, …) with the values (B, G, …) in the places of global tokens."""
        length = x_BT.size(1)
        indices_BG = torch.where(self.indices_BG < 0, length, self.indices_BG)
        longer = torch.cat([x_BT, x_BT[:, :1]], dim=1)  # whose last place is for those of -1
        return longer.scatter(1, _spread(indices_BG, x_BT), values_BG)[:, :length]

    def mark(self, tokens_BT: Tensor) -> Tensor:
        """Return booleans (B, T), True for global tokens."""
        nowhere_BT = torch.zeros_like(tokens_BT, dtype=torch.bool)
        return self.put(nowhere_BT, torch.ones_like(self.indices_BG, dtype=torch.bool))


def _spread(indices_BG: Tensor, like_BT: Tensor) -> Tensor:
    """Return indices that are the same in all further dimensions of a tensor (B, T, …)."""
    inner = like_BT.shape[2:]
    return indices_BG.view(*indices_BG.shape, *(1 for _ in inner)).expand(-1, -1, *inner)
