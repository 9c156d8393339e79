"""Learning-rate schedules: pure functions from a step to a factor of the peak rate.

Steps count from 1. All rise linearly over `warmup` steps, to exactly 1 at step `warmup`.
"""

import math
from collections.abc import Callable

from ..registry import Registry

Schedule = Callable[[int, int, int], float]


def constant(step: int, warmup: int, steps: int) -> float:
    """Stay at 1 after the warm-up."""
    del steps
    return min(1.0, step / max(1, warmup))


def inverse_sqrt(step: int, warmup: int, steps: int) -> float:
    """Return `min(s/w, √(w/s))`; arXiv 1706.03762 §5.3 with its peak scaled to 1.

    >>> inverse_sqrt(100, 100, 0), inverse_sqrt(400, 100, 0)
    (1.0, 0.5)
    """
    del steps
    warmup = max(1, warmup)
    return min(step / warmup, math.sqrt(warmup / step))


def cosine(step: int, warmup: int, steps: int) -> float:
    """Follow half a cosine from 1 down to 0 at the last step; arXiv 1608.03983."""
    if step < warmup:
        return step / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def linear(step: int, warmup: int, steps: int) -> float:
    """Fall linearly from 1 to 0 at the last step."""
    if step < warmup:
        return step / warmup
    return max(0.0, (steps - step) / max(1, steps - warmup))


def warmup_stable_decay(step: int, warmup: int, steps: int) -> float:
    """Stay at 1 until the last fifth of the steps, then `1 - √progress`; arXiv 2405.18392."""
    if step < warmup:
        return step / warmup
    decay = max(1, steps // 5)
    return 1 - math.sqrt(min(1.0, max(0, step - (steps - decay)) / decay))


SCHEDULES: Registry[Schedule] = Registry(
    "schedule",
    {
        "constant": constant,
        "inverse-sqrt": inverse_sqrt,
        "noam": inverse_sqrt,  # the same curve; its peak is d_model^-½ · warmup^-½
        "cosine": cosine,
        "linear": linear,
        "wsd": warmup_stable_decay,
    },
)
