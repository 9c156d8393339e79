"""Attention modules, layers and stacks: encoder and decoder of arXiv 1706.03762, figure 1."""

from .contexts import AttentionContext, LayerGroup, LayerGroups, Tokens
from .cross_attention import CrossAttention, CrossAttentionContext, make_cross_mask
from .self_attention import SelfAttention
from .stack import CrossLayer, Layer, Stack

__all__ = [
    "AttentionContext",
    "CrossAttention",
    "CrossAttentionContext",
    "CrossLayer",
    "Layer",
    "LayerGroup",
    "LayerGroups",
    "SelfAttention",
    "Stack",
    "Tokens",
    "make_cross_mask",
]
