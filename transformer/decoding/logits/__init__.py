"""Processors of logits: a registry, and what a search applies of it."""

from .processors import PROCESSORS, LogitsProcessorList

__all__ = ["PROCESSORS", "LogitsProcessorList"]
