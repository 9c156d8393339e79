"""Layers of a stack that are alike: they share a cache, and in a forward pass a mixing."""

from collections.abc import Iterator, Sequence

import torch

from ..attention import ATTENTION, Mixing, Scope, Tokens
from ..cache import CacheSize, SelfAttentionCache
from ..config import TransformerConfig
from ..positions import POSITIONS, Positions


class LayerGroups:
    """The layers of a stack in groups of those that are alike, in the order of their first ones.

    `of` has the group of each layer, and `ranks` its number within that. Layers with positions
    other than the stack's have kinds of them without weights.
    """

    def __init__(
        self, config: TransformerConfig, positions: Positions, *, layers: int, causal: bool
    ) -> None:
        configs = [config.of_layer(number) for number in range(layers)]
        alike = list(dict.fromkeys(configs))
        self.of = [alike.index(each) for each in configs]
        self.ranks = [self.of[:number].count(group) for number, group in enumerate(self.of)]
        self.scopes = [
            Scope(own, _positions_of(own, config, positions), causal=causal) for own in alike
        ]
        self.kinds = [ATTENTION[own.attention] for own in alike]
        for kind, own in zip(self.kinds, alike, strict=True):
            kind.check(own)

    def configs(self) -> Iterator[tuple[TransformerConfig, int]]:
        """Yield each layer's configuration, and its number within its group."""
        for group, rank in zip(self.of, self.ranks, strict=True):
            yield self.scopes[group].config, rank

    @property
    def longest_in_parts(self) -> int | None:
        """The tokens up to which a text may be read in parts; None: any (see Positions)."""
        limits = (scope.positions.longest_in_parts for scope in self.scopes)
        return min((limit for limit in limits if limit is not None), default=None)

    def new_cache(
        self, rows: int, tokens: int, device: torch.device, dtype: torch.dtype
    ) -> SelfAttentionCache:
        """Return an empty cache of all layers, for `rows` texts of up to so many tokens."""
        parts = [
            kind.new_cache(
                scope.config, CacheSize(self.of.count(group), rows, tokens, device, dtype)
            )
            for group, (kind, scope) in enumerate(zip(self.kinds, self.scopes, strict=True))
        ]
        return SelfAttentionCache(parts)

    def mixings(
        self, tokens: Tokens, cache: SelfAttentionCache | None, longest: int | None
    ) -> Sequence[Mixing]:
        """Return each layer's mixing, the same for those of a group."""
        caches = [None] * len(self.kinds) if cache is None else cache.parts
        made = [
            kind.mixing(scope, tokens, part, longest)
            for kind, scope, part in zip(self.kinds, self.scopes, caches, strict=True)
        ]
        return [made[group] for group in self.of]


def _positions_of(
    own: TransformerConfig, config: TransformerConfig, shared: Positions
) -> Positions:
    fields = ("positions", "rotary_base", "rotary_scaling")
    if all(getattr(own, name) == getattr(config, name) for name in fields):
        return shared
    return POSITIONS[own.positions](own, causal=shared.causal)
