"""The random part of a text that is held out for validation, by the seed and the text alone."""

import hashlib
from dataclasses import dataclass

DRAWS = 1 << 64  # different numbers of `draw_number`


def draw_number(text: str, seed: int) -> int:
    """Return a number that the seed and the text decide, evenly among DRAWS."""
    content, key = text.encode("utf-8", "surrogatepass"), seed.to_bytes(8, "big")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8, key=key).digest(), "big")


@dataclass
class DrawnRange:
    """The lowest and the highest of some drawn numbers."""

    lowest: int = DRAWS
    highest: int = -1

    def add(self, number: int) -> None:
        """Note a number."""
        self.lowest, self.highest = min(self.lowest, number), max(self.highest, number)

    def __contains__(self, number: int) -> bool:
        return self.lowest <= number <= self.highest

    def bound(self) -> int:
        """Return the number that has the lowest alone below it, 0 if there is but one."""
        return self.lowest + 1 if self.lowest < self.highest else 0
