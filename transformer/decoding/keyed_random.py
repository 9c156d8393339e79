"""Random numbers that depend on nothing but their keys.

Shape suffixes: R rows, V vocabulary.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

_MASK = (1 << 64) - 1
_MULTIPLIER = 0x94D049BB133111EB - (1 << 64)  # as a signed number


def mix(*keys: int) -> int:
    """64 bits of all keys, by SplitMix64's finaliser (Steele, Lea and Flood 2014): every bit in
    moves every bit out."""
    value = 0
    for key in keys:
        value = ((value ^ (key & _MASK)) + 0x9E3779B97F4A7C15) & _MASK
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
        value ^= value >> 31
    return value


@lru_cache(maxsize=4)
def _mixed_tokens(size: int, device: torch.device) -> Tensor:
    return torch.tensor([_signed(mix(token)) for token in range(size)], device=device)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def exponential(rows: Sequence[Sequence[int]], size: int, device: torch.device) -> Tensor:
    """Exponentially distributed numbers (R, V) of rows' keys and tokens, in float64, above 0."""
    keys_R1 = torch.tensor([_signed(mix(*keys)) for keys in rows], device=device)[:, None]
    bits_RV = keys_R1 ^ _mixed_tokens(size, device)
    bits_RV ^= (bits_RV >> 32) & 0xFFFFFFFF
    bits_RV *= _MULTIPLIER
    bits_RV ^= (bits_RV >> 29) & ((1 << 35) - 1)
    uniform_RV = ((bits_RV >> 11) & ((1 << 53) - 1)).double().add_(0.5).mul_(2.0**-53)
    return uniform_RV.log_().neg_()
