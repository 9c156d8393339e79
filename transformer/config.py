"""TransformerConfig: the architecture of a network, as data. Imports no torch."""

import math
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .bounds import check_bounds, doc
from .errors import ConfigError
from .layer_spec import (
    KINDS_OF_ATTENTION,
    LIMIT,
    Count,
    LayerSpec,
    Number,
    Positive,
    Rate,
    RotaryScaling,
    Size,
)

SUMMARY_TOKENS = 8  # of fixed attention, where it is not said
Shape = Literal["encoder", "decoder", "encoder-decoder"]


class TransformerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One Transformer (arXiv 1706.03762), in any of its three shapes.

    Names such as `positions` or `norm` are entries of the registries POSITIONS, NORMS, RESIDUALS,
    FEEDFORWARDS, ATTENTION, HEADS and INITIALIZATIONS, which check them when a model is built.
    Numbers are checked here: raises ConfigError.
    """

    shape: Annotated[Shape, doc("encoder, decoder or encoder-decoder")]
    vocab_size: Annotated[Size, doc("tokens of the vocabulary; in recipes, the tokenizer's")]
    d_model: Annotated[Size, doc("width of the residual stream")] = 512
    d_ff: Annotated[Size, doc("width inside the feed-forward")] = 2048
    encoder_layers: Annotated[Count, doc("layers of the encoder")] = 0
    decoder_layers: Annotated[Count, doc("layers of the decoder")] = 0
    heads: Annotated[Size, doc("heads of attention")] = 8
    kv_heads: Annotated[
        Size | None, doc("fewer than heads: grouped-query (1: multi-query) attention")
    ] = None
    d_head: Annotated[Size | None, doc("width of a head; unset: d_model / heads")] = None

    positions: Annotated[
        str,
        doc(
            "none, sinusoidal, sinusoidal-halves, sinusoidal-tensor2tensor, learned, rotary, "
            "relative or alibi"
        ),
    ] = "sinusoidal"
    max_positions: Annotated[Size, doc("the longest sequence, in tokens")] = 1024
    max_target_positions: Annotated[
        Size | None,
        doc("of an encoder-decoder's decoder: its longest text; unset: max_positions"),
    ] = None
    position_offset: Annotated[
        Count, doc("of learned and sinusoidal positions: the row of position 0 in the table")
    ] = 0
    rotary_base: Annotated[
        float, Meta(gt=1), LIMIT, doc("base of the wavelengths of rotary positions")
    ] = 10_000.0
    rotary_scaling: Annotated[
        RotaryScaling | None, doc("of rotary positions beyond the trained context: kind, factor …")
    ] = None
    rotary_fraction: Annotated[
        float, Meta(gt=0, le=1), doc("the part of each head that rotary positions rotate")
    ] = 1.0
    relative_buckets: Annotated[int, Meta(ge=4), LIMIT, doc("buckets of relative positions")] = 32
    relative_max_distance: Annotated[
        Size, doc("relative positions from here on share a bucket")
    ] = 128

    attention: Annotated[str, KINDS_OF_ATTENTION] = "full"
    window: Annotated[
        Size, doc("of sliding and longformer attention: a position sees those less than this away")
    ] = 256
    global_tokens: Annotated[
        Count, doc("of sliding attention: the first positions, which see all and are seen by all")
    ] = 0
    stride: Annotated[
        Size,
        doc("of strided and fixed attention: the length of a block, and of a step"),
    ] = 128
    summary_tokens: Annotated[
        Size, doc("of fixed attention: the last tokens of each block, which later blocks see")
    ] = SUMMARY_TOKENS
    random_features: Annotated[Size, doc("of performer attention: features of a query or key")] = (
        256
    )
    redraw_features: Annotated[
        Count, doc("of performer attention: training steps between draws of features; 0: one draw")
    ] = 1000
    attention_scale: Annotated[
        Number | None, doc("factor of query-key products; unset: 1/√d_head")
    ] = None
    attention_softcap: Annotated[
        Positive | None, doc("attention scores s become c·tanh(s/c), with this as c; unset: no cap")
    ] = None
    qk_norm: Annotated[
        str, doc("a norm of queries and of keys: none, per-head or all-heads (all as one vector)")
    ] = "none"

    layers: Annotated[
        tuple[LayerSpec, ...] | None,
        doc("what layers have of their own, by turns: kinds of attention, or tables of fields"),
    ] = None

    feedforward: Annotated[
        str,
        doc("relu, gelu, gelu-tanh, gelu-sigmoid, silu, reglu, geglu, geglu-tanh or swiglu"),
    ] = "relu"
    norm: Annotated[str, doc("layernorm, rmsnorm or rmsnorm-zero-centered")] = "layernorm"
    norm_eps: Annotated[Positive, doc("added to the variance in a norm")] = 1e-5
    norm_placement: Annotated[
        str,
        doc(
            "a norm before sublayers (pre), after the sum (post), before and after them "
            "(sandwich) or after them (reordered)"
        ),
    ] = "post"
    final_norm: Annotated[bool, doc("a norm after the last layer of each stack")] = False
    bias: Annotated[
        bool, doc("biases in the linear maps of the feed-forward, and of attention")
    ] = True
    attention_bias: Annotated[
        bool | None, doc("biases in those of attention; unset: as `bias`")
    ] = None
    attention_output_bias: Annotated[
        bool | None, doc("a bias in attention's last map; unset: as in its others")
    ] = None

    embedding_scale: Annotated[bool, doc("multiply token embeddings by √d_model")] = True
    embedding_norm: Annotated[bool, doc("a norm after the embeddings")] = False
    token_types: Annotated[Count, doc("BERT's segment embeddings")] = 0
    share_embeddings: Annotated[bool, doc("one matrix for source and target")] = True
    source_vocab_size: Annotated[
        Size | None, doc("tokens of the source, where not shared; unset: vocab_size")
    ] = None
    tie_output: Annotated[bool, doc("the output projection is the (target) embedding")] = True
    output_scale: Annotated[
        Number, doc("multiplies the features before the projection (T5: d_model^-½)")
    ] = 1.0
    output_bias: Annotated[bool, doc("a bias in the output projection")] = False
    logit_softcap: Annotated[
        Positive | None, doc("logits x become c·tanh(x/c), with this as c; unset: no cap")
    ] = None
    head: Annotated[str, doc("linear, masked, classification, tagging or none")] = "linear"
    labels: Annotated[
        Count, doc("of the heads classification and tagging; in recipes, the text's")
    ] = 0
    label_kind: Annotated[
        str, doc("single (one label for each text), multi (any number of them) or number")
    ] = "single"
    classifier_pooling: Annotated[
        str,
        doc("of the head classification: first, last, mean, max, mean-sqrt or weighted-mean"),
    ] = "first"
    classifier_layer: Annotated[
        str,
        doc(
            "a layer before its projection: none, tanh, relu, gelu, gelu-tanh, gelu-sigmoid or silu"
        ),
    ] = "none"

    dropout: Annotated[Rate, doc("of embeddings and of each sublayer's output")] = 0.1
    attention_dropout: Annotated[Rate, doc("of attention weights, where there are any")] = 0.0
    activation_dropout: Annotated[Rate, doc("inside the feed-forward")] = 0.0

    initialization: Annotated[str, doc("of the weights: xavier, normal, gpt2 or t5")] = "xavier"
    initialization_std: Annotated[
        Number, doc("standard deviation of the first weights, where the kind has one")
    ] = 0.02

    def __post_init__(self) -> None:
        check_bounds(self)
        self._check_shape()
        self._check_attention()
        self._check_layers()

    def of_layer(self, number: int) -> "TransformerConfig":
        """Return the configuration of a network whose layers all are as one is, by its number."""
        if self.layers is None:
            return self
        spec = self.layers[number % len(self.layers)]
        own = {name: getattr(spec, name) for name in spec.__struct_fields__}
        set_fields = {name: value for name, value in own.items() if value is not None}
        return msgspec.structs.replace(self, layers=None, **set_fields)

    @property
    def has_encoder(self) -> bool:
        """True if there is an encoder, which attends in both directions."""
        return self.shape != "decoder"

    @property
    def has_decoder(self) -> bool:
        """True if there is a decoder, which attends to earlier positions."""
        return self.shape != "encoder"

    @property
    def head_width(self) -> int:
        """Width of an attention head, d_k."""
        return self.d_head or self.d_model // self.heads

    @property
    def key_value_heads(self) -> int:
        """Number of heads of keys and values; `heads` unless grouped."""
        return self.kv_heads or self.heads

    @property
    def has_attention_bias(self) -> bool:
        """True if attention's linear maps have a bias."""
        return self.bias if self.attention_bias is None else self.attention_bias

    @property
    def has_attention_output_bias(self) -> bool:
        """True if the last of attention's linear maps has a bias."""
        own = self.attention_output_bias
        return self.has_attention_bias if own is None else own

    @property
    def rotary_width(self) -> int:
        """Number of a head's first dimensions that rotary positions rotate."""
        return int(self.head_width * self.rotary_fraction)

    @property
    def source_vocabulary(self) -> int:
        """Size of the vocabulary of an encoder-decoder's encoder."""
        return self.source_vocab_size or self.vocab_size

    @property
    def target_positions(self) -> int:
        """Length of the longest text that a decoder reads and writes."""
        return self.max_target_positions or self.max_positions

    @property
    def shorter_positions(self) -> int:
        """Length of the longest text that each stack can read."""
        return min(self.max_positions, self.target_positions)

    @property
    def scale(self) -> float:
        """Factor of query-key products."""
        own = self.attention_scale
        return 1.0 / math.sqrt(self.head_width) if own is None else own

    def _check_shape(self) -> None:
        wanted = {"encoder_layers": self.has_encoder, "decoder_layers": self.has_decoder}
        for name, needed in wanted.items():
            if bool(getattr(self, name)) != needed:
                rule = "at least 1" if needed else "0"
                raise ConfigError(
                    f"{name} is {getattr(self, name)}; the shape {self.shape} needs {rule}"
                )

        if self.max_target_positions is not None and self.shape != "encoder-decoder":
            raise ConfigError("max_target_positions needs the shape encoder-decoder")
        if self.source_vocab_size is not None and self.share_embeddings:
            raise ConfigError("source_vocab_size needs share_embeddings to be false")

    def _check_attention(self) -> None:
        if self.d_head is None and self.d_model % self.heads:
            raise ConfigError(
                f"d_model {self.d_model} is not a multiple of {self.heads} heads; "
                "change one, or set d_head"
            )
        if self.heads % self.key_value_heads:
            raise ConfigError(f"heads {self.heads} is not a multiple of kv_heads {self.kv_heads}")
        if self.positions == "rotary" and (self.rotary_width % 2 or not self.rotary_width):
            part = f" · {self.rotary_fraction} (rotary_fraction)" * (self.rotary_fraction < 1)
            raise ConfigError(
                f"rotary positions need an even head width, not {self.head_width}{part}"
            )
        if self.relative_max_distance <= self.relative_buckets // 2:
            raise ConfigError("relative_max_distance must be above half of relative_buckets")

    def _check_layers(self) -> None:
        if self.layers is None:
            return
        most = max(self.encoder_layers, self.decoder_layers)
        if not 1 <= len(self.layers) <= most:
            raise ConfigError(
                f"layers has {len(self.layers):,} entries; it must have between 1 and {most:,}"
            )
        for number in range(len(self.layers)):
            self.of_layer(number)
