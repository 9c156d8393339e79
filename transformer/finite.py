"""A check for NaN and ∞ in what a model computes."""

from torch import Tensor

from checkpoints import CheckpointError


def require_finite(values: Tensor) -> Tensor:
    """Return a model's output; raise CheckpointError unless all of it is finite.

    So damaged weights are detected when they are used: checking the weights themselves would read
    the whole of files that are only mapped.
    """
    if not bool(values.isfinite().all()):
        raise CheckpointError(
            "the model's output holds NaN or ∞: its weights are damaged, or too large for this "
            "type of numbers (--dtype)"
        )
    return values
