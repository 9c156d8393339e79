"""Random numbers that depend on nothing but their keys."""

_MASK = (1 << 64) - 1


def _mix(value: int) -> int:
    """SplitMix64's finaliser (Steele, Lea and Flood 2014): every bit in moves every bit out."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def uniform(*keys: int) -> float:
    """A number in [0, 1), the same for the same keys in the same order."""
    mixed = 0
    for key in keys:
        mixed = _mix(mixed ^ (key & _MASK))
    return (mixed >> 11) / (1 << 53)
