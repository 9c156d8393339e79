"""Layers whose weights are uninitialized until `initialize` or a checkpoint fills them.

torch's own would fill them first, and on the meta device import its whole compiler for that: a
second and 100 MiB before any model is loaded.
"""

import torch
from torch import nn


class Embedding(nn.Embedding):
    """torch's embedding without its initialization."""

    @property
    def dtype(self) -> torch.dtype:
        """Type of what it returns."""
        return self.weight.dtype

    def reset_parameters(self) -> None:
        """Leave the weights uninitialized."""


class Linear(nn.Linear):
    """torch's linear map without its initialization."""

    def reset_parameters(self) -> None:
        """Leave the weights uninitialized."""


def count_linear_parameters(inputs: int, outputs: int, *, bias: bool) -> int:
    """Return the number of weights in a linear map."""
    return inputs * outputs + (outputs if bias else 0)
