"""Layers and stacks: encoder and decoder of arXiv 1706.03762, figure 1.

Shape suffixes: B batch, T tokens, S source tokens, D d_model.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from .. import masks
from ..attention import ATTENTION, Mixing, Tokens
from ..cache import SelfAttentionCache
from ..config import TransformerConfig
from ..cross_cache import CrossAttentionCache
from ..feedforward import FeedForward
from ..norms import make_norm, make_residual
from ..positions import POSITIONS
from .cross_attention import CrossAttention, CrossAttentionContext
from .groups import LayerGroups


class Layer(nn.Module):
    """Self-attention, then the feed-forward network, each in a residual block.

    `number` is that of the layer in its stack, `rank` that among the layers that are as it is.
    """

    def __init__(
        self, config: TransformerConfig, number: int = 0, rank: int = 0, *, causal: bool = False
    ) -> None:
        super().__init__()
        del number
        self.attention = ATTENTION[config.attention].build(config, rank, causal=causal)
        self.attention_residual = make_residual(config)
        self.feedforward = FeedForward(config)
        self.feedforward_residual = make_residual(config)

    def forward(self, x_BTD: Tensor, mixing: Mixing, cross: CrossAttentionContext | None) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        del cross
        x_BTD = self.attention_residual(x_BTD, lambda x: self.attention(x, mixing))
        y_BTD: Tensor = self.feedforward_residual(x_BTD, self.feedforward)
        return y_BTD


class CrossLayer(Layer):
    """A decoder layer with cross-attention between self-attention and the feed-forward network."""

    def __init__(
        self, config: TransformerConfig, number: int = 0, rank: int = 0, *, causal: bool = True
    ) -> None:
        super().__init__(config, number, rank, causal=causal)
        self.cross = CrossAttention(config, number)
        self.cross_residual = make_residual(config)

    def forward(self, x_BTD: Tensor, mixing: Mixing, cross: CrossAttentionContext | None) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        x_BTD = self.attention_residual(x_BTD, lambda x: self.attention(x, mixing))
        x_BTD = self.cross_residual(x_BTD, lambda x: self.cross(x, cross))
        y_BTD: Tensor = self.feedforward_residual(x_BTD, self.feedforward)
        return y_BTD


class Stack(nn.Module):
    """A stack of layers, with the positions that they share and an optional final norm."""

    def __init__(
        self, config: TransformerConfig, *, layers: int, causal: bool, cross: bool = False
    ) -> None:
        super().__init__()
        self.config = config
        self.causal = causal
        self.positions = POSITIONS[config.positions](config, causal=causal)
        self.groups = LayerGroups(config, self.positions, layers=layers, causal=causal)
        kind = CrossLayer if cross else Layer
        self.layers = nn.ModuleList(
            kind(own, number, rank, causal=causal)
            for number, (own, rank) in enumerate(self.groups.configs())
        )
        self.norm = make_norm(config) if config.final_norm else nn.Identity()

    def forward(
        self,
        x_BTD: Tensor,
        *,
        positions_BT: Tensor | None = None,
        segments_BT: Tensor | None = None,
        global_tokens_BG: Tensor | None = None,
        cache: SelfAttentionCache | None = None,
        longest: int | None = None,
        cross: CrossAttentionContext | None = None,
    ) -> Tensor:
        """(B, T, D) → (B, T, D).

        `positions_BT` None: 0 … T-1 without padding; -1 marks padding. Tokens of other segments do
        not see each other; global tokens are as in ModelInputs. A cache needs `longest`, the number
        of tokens of the longest row, the new ones included.
        """
        tokens = Tokens.of(x_BTD, positions_BT, segments_BT, global_tokens_BG)
        mixings = self.groups.mixings(tokens, cache, longest)
        for layer, mixing in zip(self.layers, mixings, strict=True):
            x_BTD = layer(x_BTD, mixing, cross)
        y_BTD: Tensor = self.norm(x_BTD)
        return y_BTD

    def make_cross_cache(
        self, states_BSD: Tensor, lengths: Sequence[int], positions_BS: Tensor
    ) -> CrossAttentionCache:
        """Compute each layer's keys and values of the encoder's output; `lengths` in tokens."""
        layers = (layer for layer in self.layers if isinstance(layer, CrossLayer))
        cached = [layer.cross.keys_values(states_BSD) for layer in layers]
        return CrossAttentionCache(cached, lengths, masks.additive(masks.padding(positions_BS)))
