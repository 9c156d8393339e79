"""Layers whose weights are empty until `initialize` or a checkpoint fills them.

torch would fill them first, and on the meta device import its whole compiler for that: a second
and 100 MiB before any model is loaded.
"""

from torch import nn


class Embedding(nn.Embedding):
    """One vector for each id."""

    def reset_parameters(self) -> None:
        """Leave them empty."""


class Linear(nn.Linear):
    """`xWᵀ + b`."""

    def reset_parameters(self) -> None:
        """Leave them empty."""
