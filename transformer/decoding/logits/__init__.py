"""Processors of logits: a registry, and what a search applies of it."""

from .processors import PROCESSORS, Chain

__all__ = ["PROCESSORS", "Chain"]
