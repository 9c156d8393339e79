"""Attention modules, layers and stacks: encoder and decoder of arXiv 1706.03762, figure 1."""

from .cross_attention import CrossAttention, CrossAttentionContext, make_cross_mask
from .groups import LayerGroups
from .stack import CrossLayer, Layer, Stack

__all__ = [
    "CrossAttention",
    "CrossAttentionContext",
    "CrossLayer",
    "Layer",
    "LayerGroups",
    "Stack",
    "make_cross_mask",
]
