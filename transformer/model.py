"""The Transformer as encoder, decoder or encoder-decoder; arXiv 1706.03762.

Shape suffixes: B batch, T target tokens, S source tokens, D d_model, V vocabulary.
In arguments named positions, -1 marks padding; None means 0, 1, 2 … without padding.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .cache import SelfAttentionCache
from .config import TransformerConfig
from .cross_cache import CrossAttentionCache
from .dropout import Dropout
from .heads import HEADS, TokenHead
from .inputs import ModelInputs
from .layers import CrossAttentionContext, Stack, make_cross_mask
from .masks import padded_positions
from .norms import make_norm
from .uninitialized import Embedding


class DecoderCache(NamedTuple):
    """Key-value caches of a batch: of self-attention, and of attention to the encoder's output."""

    self_attention: SelfAttentionCache
    cross_attention: CrossAttentionCache | None

    def reorder(
        self, rows: Sequence[int], rows_per_entry: int = 1, lengths: Sequence[int] | None = None
    ) -> None:
        """Gather rows: row r becomes a copy of row `rows[r]`, so that rows are repeated or dropped.

        Every `rows_per_entry` consecutive rows share one source. `lengths` are the tokens of each
        row before, where they are known.
        """
        self.self_attention.reorder(rows, lengths)
        if self.cross_attention is not None:
            self.cross_attention.reorder(rows, rows_per_entry)

    def append_rows(self, other: "DecoderCache") -> None:
        """Append the rows of another cache to these."""
        self.self_attention.append_rows(other.self_attention)
        if self.cross_attention is not None and other.cross_attention is not None:
            self.cross_attention.append_rows(other.cross_attention)


class Transformer(nn.Module):
    """The network that a TransformerConfig describes; arXiv 1706.03762.

    Weights are uninitialized until `initialize` or a checkpoint fills them. Raises
    UnknownNameError where the configuration names a variant that its registry lacks.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = Embedding(config.vocab_size, config.d_model)
        is_encoder_decoder = config.shape == "encoder-decoder"
        self.source_embedding = (
            Embedding(config.source_vocabulary, config.d_model)
            if is_encoder_decoder and not config.share_embeddings
            else None
        )
        self.types = Embedding(config.token_types, config.d_model) if config.token_types else None
        self.encoder = (
            Stack(config, layers=config.encoder_layers, causal=False)
            if config.has_encoder
            else None
        )
        self.decoder = (
            Stack(config, layers=config.decoder_layers, causal=True, cross=is_encoder_decoder)
            if config.has_decoder
            else None
        )
        stacks = 2 if is_encoder_decoder else 1
        norms = (make_norm(config) for _ in range(stacks if config.embedding_norm else 0))
        self.embedding_norms = nn.ModuleList(norms)  # the decoder's is the last
        self.dropout = Dropout(config.dropout)
        self.head = HEADS[config.head](config)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.embedding.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of hidden states and of what is cached."""
        return self.embedding.dtype

    def forward(self, inputs: ModelInputs) -> Tensor:
        """Return the head's outputs: logits (B, T, V) of each position, or (B, L) of each text."""
        return self.logits(self.hidden(inputs), inputs.positions_BT)

    def hidden(self, inputs: ModelInputs) -> Tensor:
        """Return the last layer's hidden states (B, T, D), before the head."""
        if self.decoder is None:
            return self.encode(inputs)
        cross = None
        if self.encoder is not None:
            assert inputs.source is not None, "an encoder-decoder needs a source"
            states_BSD = self.encode(inputs.source)
            mask = make_cross_mask(inputs.source.positions_BT)
            cross = CrossAttentionContext(states_BSD, None, mask)
        x_BTD = self._embed(self.embedding, self.decoder, inputs)
        hidden_BTD: Tensor = self.decoder(
            x_BTD, positions_BT=inputs.positions_BT, segments_BT=inputs.segments_BT, cross=cross
        )
        return hidden_BTD

    def logits(self, hidden_BTD: Tensor, positions_BT: Tensor | None = None) -> Tensor:
        """Return the head's outputs for hidden states; see Head."""
        outputs: Tensor = self.head(hidden_BTD, self.embedding.weight, positions_BT)
        return outputs

    def projection(self) -> tuple[Tensor, Tensor | None]:
        """Return the matrix (V, D) and bias (V) that turn a token's features into outputs."""
        assert isinstance(self.head, TokenHead)
        return self.head.projection(self.embedding.weight), self.head.bias

    def encode(self, inputs: ModelInputs) -> Tensor:
        """Return the encoder's output (B, T, D)."""
        assert self.encoder is not None
        x_BTD = self._embed(self.source_embedding or self.embedding, self.encoder, inputs)
        states_BTD: Tensor = self.encoder(
            x_BTD,
            positions_BT=inputs.positions_BT,
            segments_BT=inputs.segments_BT,
            global_tokens_BG=inputs.global_tokens_BG,
        )
        return states_BTD

    def cross_attention_weights(self, ids_BT: Tensor, source: ModelInputs) -> list[Tensor]:
        """Return each decoder layer's cross-attention weights (B, H, T, S), for unpadded rows.

        The source may be one row, which is that of all.
        """
        assert self.decoder is not None
        states_BSD = self.encode(source)
        cross = CrossAttentionContext(states_BSD, None, None, weights=[])
        x_BTD = self._embed(self.embedding, self.decoder, ModelInputs(ids_BT))
        self.decoder(x_BTD, cross=cross)
        return cross.weights or []

    def new_cache(
        self,
        rows: int,
        size: int,
        *,
        source_BS: Tensor | None = None,
        source_lengths: Sequence[int] | None = None,
        source_global_BG: Tensor | None = None,
    ) -> DecoderCache:
        """Return an empty cache for `rows` texts of up to `size` tokens, with the source encoded.

        `source_lengths` counts the tokens of each source row; None: none is padded. Global tokens
        of the source are as in ModelInputs.
        """
        assert self.decoder is not None
        self_attention = self.decoder.groups.new_cache(rows, size, self.device, self.dtype)
        if self.encoder is None:
            return DecoderCache(self_attention, None)
        assert source_BS is not None
        lengths = [source_BS.size(1)] * rows if source_lengths is None else source_lengths
        lengths_B = torch.tensor(lengths, device=source_BS.device)
        positions_BS = padded_positions(lengths_B, source_BS.size(1))
        inputs = ModelInputs(source_BS, positions_BS, global_tokens_BG=source_global_BG)
        states_BSD = self.encode(inputs)
        return DecoderCache(
            self_attention, self.decoder.make_cross_cache(states_BSD, lengths, positions_BS)
        )

    def decode(
        self, ids_BT: Tensor, positions_BT: Tensor, cache: DecoderCache, longest: int | None = None
    ) -> Tensor:
        """Return the hidden states (B, T, D) of new tokens, and extend the cache by them.

        `longest` is the number of tokens of the longest row, the new ones included; None reads it
        from `positions_BT`, which waits for a GPU.
        """
        assert self.decoder is not None
        cross = None
        if cache.cross_attention is not None:
            cross = CrossAttentionContext(
                None, cache.cross_attention.layers, cache.cross_attention.mask_B11S
            )
        if longest is None:
            longest = int(positions_BT.max()) + 1
        inputs = ModelInputs(ids_BT, positions_BT)
        x_BTD = self._embed(self.embedding, self.decoder, inputs, longest=longest)
        states_BTD: Tensor = self.decoder(
            x_BTD,
            positions_BT=positions_BT,
            cache=cache.self_attention,
            longest=longest,
            cross=cross,
        )
        return states_BTD

    def _embed(
        self, embedding: nn.Embedding, stack: Stack, inputs: ModelInputs, *, longest: int = 0
    ) -> Tensor:
        """Embed tokens, with positions, token types, norm and dropout: (B, T, D)."""
        ids_BT, positions_BT, types_BT = inputs.ids_BT, inputs.positions_BT, inputs.types_BT
        x_BTD = embedding(ids_BT)
        if self.config.embedding_scale:
            x_BTD = x_BTD * math.sqrt(self.config.d_model)
        if positions_BT is None:
            positions_BT = torch.arange(ids_BT.size(1), device=ids_BT.device)[None]
        x_BTD = stack.positions.embed(x_BTD, positions_BT, longest)
        if self.types is not None:
            x_BTD = x_BTD + self.types(torch.zeros_like(ids_BT) if types_BT is None else types_BT)
        if self.config.embedding_norm:
            x_BTD = self.embedding_norms[0 if stack is self.encoder else -1](x_BTD)
        embedded_BTD: Tensor = self.dropout(x_BTD)
        return embedded_BTD
