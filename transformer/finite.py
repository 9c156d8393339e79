"""Numbers that are none."""

from torch import Tensor

from checkpoints import CheckpointError


def require_finite(found: Tensor) -> Tensor:
    """What a model has computed, if it is numbers: damaged weights are found when they are used,
    for looking at all of them would read files that are only mapped. Raises CheckpointError."""
    if not bool(found.isfinite().all()):
        raise CheckpointError(
            "the model's output holds NaN or ∞: its weights are damaged, or too large for this "
            "type of numbers (--dtype)"
        )
    return found
