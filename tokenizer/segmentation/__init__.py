"""Texts cut into sentences, and into parts that fit a model."""

from .chunking import parts
from .sentences import Piece, fit, split

__all__ = ["Piece", "fit", "parts", "split"]
