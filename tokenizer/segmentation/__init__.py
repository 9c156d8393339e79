"""Texts cut into sentences, and into parts that fit a model."""

from .chunking import split_to_fit
from .sentences import Segment, merge_to_fit, split_sentences

__all__ = ["Segment", "merge_to_fit", "split_sentences", "split_to_fit"]
