"""The interface of attention kinds: a layer's module, its cache, and what layers share."""

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from torch import nn

from ..cache import Cache, CacheSize
from ..config import TransformerConfig
from .mixing import Mixing, Scope, Tokens
from .self_attention import SelfAttention, count_attention_parameters

CacheT = TypeVar("CacheT", bound=Cache)


class AttentionKind(ABC, Generic[CacheT]):
    """A kind of self-attention, and of its cache.

    `fields` are those of a configuration that it reads and not all kinds do.
    """

    fields: tuple[str, ...] = ()
    names_global_tokens = False  # True: an encoder is told which tokens are global

    @abstractmethod
    def check(self, config: TransformerConfig) -> None:
        """Raise ConfigError for a network that cannot have this kind."""

    def lacks(self, config: TransformerConfig, *, causal: bool) -> str:
        """Return what it lacks in such a stack, as said behind its name; empty if nothing."""
        del config, causal
        return ""

    def build(self, config: TransformerConfig, rank: int, *, causal: bool) -> nn.Module:
        """Return the module of one layer; `rank` is its number among those that share a cache.

        `causal`: no position of its stack sees those after it.
        """
        del causal
        return SelfAttention(config, rank)

    def count_parameters(self, config: TransformerConfig, *, causal: bool) -> int:
        """Return the number of weights in one layer's module."""
        del causal
        return count_attention_parameters(config)

    def count_kept(self, config: TransformerConfig, *, causal: bool) -> int:
        """Estimate the numbers that one layer keeps of a token for the backward pass.

        Those of all kinds are queries and keys, also rotated, values, and what is mixed of them.
        """
        del causal
        return 6 * config.heads * config.head_width

    @abstractmethod
    def mixing(
        self, scope: Scope, tokens: Tokens, cache: CacheT | None, longest: int | None
    ) -> Mixing:
        """Compute once what layers share; with a cache, `longest` is as for Transformer.decode."""

    @abstractmethod
    def new_cache(self, config: TransformerConfig, size: CacheSize) -> CacheT:
        """Return an empty cache."""
