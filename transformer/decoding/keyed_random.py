"""Random numbers that are a pure function of their keys.

Shape suffixes: R rows, V vocabulary.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

_MASK = (1 << 64) - 1
_MULTIPLIER = 0x94D049BB133111EB - (1 << 64)  # as a signed number


def mix(*keys: int) -> int:
    """Hash all keys to 64 bits with SplitMix64's finaliser (Steele, Lea and Flood 2014).

    Every bit of the keys affects every bit of the result.
    """
    value = 0
    for key in keys:
        value = ((value ^ (key & _MASK)) + 0x9E3779B97F4A7C15) & _MASK
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
        value ^= value >> 31
    return value


@lru_cache(maxsize=4)
def _token_hashes(size: int, device: torch.device) -> Tensor:
    return torch.tensor([_as_int64(mix(token)) for token in range(size)], device=device)


def _as_int64(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def exponential(row_keys: Sequence[Sequence[int]], size: int, device: torch.device) -> Tensor:
    """Return exponential random numbers (R, V) of row keys and tokens: float64, above 0."""
    keys_R1 = torch.tensor([_as_int64(mix(*keys)) for keys in row_keys], device=device)[:, None]
    bits_RV = keys_R1 ^ _token_hashes(size, device)
    bits_RV ^= (bits_RV >> 32) & 0xFFFFFFFF
    bits_RV *= _MULTIPLIER
    bits_RV ^= (bits_RV >> 29) & ((1 << 35) - 1)
    uniform_RV = ((bits_RV >> 11) & ((1 << 53) - 1)).double().add_(0.5).mul_(2.0**-53)
    return uniform_RV.log_().neg_()
