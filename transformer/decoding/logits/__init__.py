"""Logits processors: their registry, and the list that a search applies."""

from .processors import PROCESSORS, LogitsProcessorList

__all__ = ["PROCESSORS", "LogitsProcessorList"]
