"""Splitting of texts into sentences, and into parts that fit a model."""

from .chunking import split_to_fit
from .sentences import Segment, split_segments, split_sentences

__all__ = ["Segment", "split_segments", "split_sentences", "split_to_fit"]
