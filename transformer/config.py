"""TransformerConfig: the architecture of a network, as data. Imports no torch."""

import math
from collections.abc import Collection
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from .bounds import check_bounds, convert
from .errors import ConfigError
from .registry import suggest

Shape = Literal["encoder", "decoder", "encoder-decoder"]

_LIMIT = Meta(le=10**12)  # of every number of a network
Number = Annotated[float, Meta(ge=-(10**12), le=10**12)]
Positive = Annotated[float, Meta(gt=0), _LIMIT]
Size = Annotated[int, Meta(ge=1), _LIMIT]
Count = Annotated[int, Meta(ge=0), _LIMIT]
Rate = Annotated[float, Meta(ge=0, lt=1)]


class RotaryScaling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Scaling of rotary frequencies beyond the trained context.

    `linear` divides every position by `factor` (arXiv 2306.15595). `llama3` divides only the
    slow frequencies, with a ramp between the two wavelengths `original_context / low` and
    `original_context / high` (Llama 3.1).
    """

    kind: str = "linear"
    factor: Positive = 1.0
    low: Number = 1.0
    high: Number = 4.0
    original_context: Size = 8192

    def __post_init__(self) -> None:
        check_bounds(self)
        if self.kind == "llama3" and self.high <= self.low:
            raise ConfigError(f"rotary_scaling's high is {self.high}, not above low, {self.low}")


class TransformerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One Transformer (arXiv 1706.03762), in any of its three shapes.

    Names such as `positions` or `norm` are entries of the registries POSITIONS, NORMS, RESIDUALS,
    FEEDFORWARDS, ATTENTION, HEADS and INITIALIZATIONS, which check them when a model is built.
    Numbers are checked here: raises ConfigError.
    """

    shape: Shape
    vocab_size: Size
    d_model: Size = 512
    d_ff: Size = 2048
    encoder_layers: Count = 0
    decoder_layers: Count = 0
    heads: Size = 8
    kv_heads: Size | None = None  # fewer than heads: grouped-query (1: multi-query) attention
    d_head: Size | None = None  # None: d_model / heads

    positions: str = "sinusoidal"
    max_positions: Size = 1024  # the longest sequence, in tokens
    position_offset: Count = 0  # learned, sinusoidal: the row of position 0 in the table
    rotary_base: Annotated[float, Meta(gt=1), _LIMIT] = 10_000.0
    rotary_scaling: RotaryScaling | None = None
    relative_buckets: Annotated[int, Meta(ge=4), _LIMIT] = 32
    relative_max_distance: Size = 128

    attention: str = "full"
    window: Size = 256  # sliding: a position sees those less than `window` away
    global_tokens: Count = 0  # sliding: the first positions, which see all and are seen by all
    attention_scale: Number | None = None  # None: 1/√d_head

    feedforward: str = "relu"
    norm: str = "layernorm"
    norm_eps: Positive = 1e-5
    norm_placement: str = "post"
    final_norm: bool = False  # a norm after the last layer of each stack
    bias: bool = True  # in the linear maps of the feed-forward, and of attention
    attention_bias: bool | None = None  # in those of attention; None: as `bias`

    embedding_scale: bool = True  # multiply token embeddings by √d_model
    embedding_norm: bool = False
    token_types: Count = 0  # BERT's segment embeddings
    share_embeddings: bool = True  # one matrix for source and target
    source_vocab_size: Size | None = None  # of the source, where not shared; None: vocab_size
    tie_output: bool = True  # the output projection is the (target) embedding
    output_scale: Number = 1.0  # multiplies the features before the projection (T5: d_model^-½)
    output_bias: bool = False
    head: str = "linear"

    dropout: Rate = 0.1  # of embeddings and of each sublayer's output
    attention_dropout: Rate = 0.0  # of attention weights
    activation_dropout: Rate = 0.0  # inside the feed-forward

    initialization: str = "xavier"
    initialization_std: Number = 0.02

    def __post_init__(self) -> None:
        check_bounds(self)
        self._check_shape()
        self._check_attention()

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
    def source_vocabulary(self) -> int:
        """Size of the vocabulary of an encoder-decoder's encoder."""
        return self.source_vocab_size or self.vocab_size

    @property
    def scale(self) -> float:
        """Factor of query-key products."""
        return self.attention_scale or 1.0 / math.sqrt(self.head_width)

    def _check_shape(self) -> None:
        wanted = {"encoder_layers": self.has_encoder, "decoder_layers": self.has_decoder}
        for name, needed in wanted.items():
            if bool(getattr(self, name)) != needed:
                rule = "at least 1" if needed else "0"
                raise ConfigError(
                    f"{name} is {getattr(self, name)}; the shape {self.shape} needs {rule}"
                )

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
        if self.positions == "rotary" and self.head_width % 2:
            raise ConfigError(f"rotary positions need an even head width, not {self.head_width}")
        if self.relative_max_distance <= self.relative_buckets // 2:
            raise ConfigError("relative_max_distance must be above half of relative_buckets")


def require_known_fields(
    config: TransformerConfig, known: Collection[str], *, refusal: str
) -> None:
    """Raise ConfigError, with `refusal`, for a field outside `known` that is not its default.

    Code that rewrites networks lists the fields that it was written for, so that a field added
    later is refused instead of ignored.
    """
    for field in msgspec.structs.fields(config):
        value = getattr(config, field.name)
        if field.name not in known and value != field.default:
            raise ConfigError(f"{refusal}: {field.name} is {value!r}")


def config_from_fields(fields: dict[str, Any]) -> TransformerConfig:
    """Build a configuration from a mapping, as read from JSON or a recipe.

    Raises a ConfigError that names the field and what is wrong with it.
    """
    known = [field.name for field in msgspec.structs.fields(TransformerConfig)]
    for name in fields:
        if name not in known:
            raise ConfigError(f"no field of a model is called {name!r}; {suggest(name, known)}")
    return convert(fields, TransformerConfig)


def config_to_fields(config: TransformerConfig) -> dict[str, Any]:
    """Return all fields as plain JSON values."""
    fields: dict[str, Any] = msgspec.to_builtins(config)
    return fields
