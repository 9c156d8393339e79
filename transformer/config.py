"""TransformerConfig: the architecture of a network, as data. Imports no torch."""

import math
from collections.abc import Collection
from typing import Any, Literal

import msgspec

from .errors import ConfigError
from .registry import suggest

_LARGEST = 10**12

Shape = Literal["encoder", "decoder", "encoder-decoder"]


class RotaryScaling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Scaling of rotary frequencies beyond the trained context.

    `linear` divides every position by `factor` (arXiv 2306.15595). `llama3` divides only the
    slow frequencies, with a ramp between the two wavelengths `original_context / low` and
    `original_context / high` (Llama 3.1).
    """

    kind: str = "linear"
    factor: float = 1.0
    low: float = 1.0
    high: float = 4.0
    original_context: int = 8192

    def __post_init__(self) -> None:
        _check_numbers(self)
        if self.factor <= 0 or self.original_context < 1:
            raise ConfigError("rotary_scaling's factor and original_context must be above 0")
        if self.kind == "llama3" and self.high <= self.low:
            raise ConfigError(f"rotary_scaling's high is {self.high}, not above low, {self.low}")


class TransformerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One Transformer (arXiv 1706.03762), in any of its three shapes.

    Names such as `positions` or `norm` are entries of the registries POSITIONS, NORMS, RESIDUALS,
    FEEDFORWARDS, ATTENTION, HEADS and INITIALIZATIONS, which check them when a model is built.
    Numbers are checked here: raises ConfigError.
    """

    shape: Shape
    vocab_size: int
    d_model: int = 512
    d_ff: int = 2048
    encoder_layers: int = 0
    decoder_layers: int = 0
    heads: int = 8
    kv_heads: int | None = None  # fewer than heads: grouped-query (1: multi-query) attention
    d_head: int | None = None  # None: d_model / heads

    positions: str = "sinusoidal"
    max_positions: int = 1024  # the longest sequence, in tokens
    position_offset: int = 0  # learned, sinusoidal: the row of position 0 in the table
    rotary_base: float = 10_000.0
    rotary_scaling: RotaryScaling | None = None
    relative_buckets: int = 32
    relative_max_distance: int = 128

    attention: str = "full"
    window: int = 256  # sliding: a position sees those less than `window` away
    global_tokens: int = 0  # sliding: the first positions, which see all and are seen by all
    attention_scale: float | None = None  # None: 1/√d_head

    feedforward: str = "relu"
    norm: str = "layernorm"
    norm_eps: float = 1e-5
    norm_placement: str = "post"
    final_norm: bool = False  # a norm after the last layer of each stack
    bias: bool = True  # in the linear maps of the feed-forward, and of attention
    attention_bias: bool | None = None  # in those of attention; None: as `bias`

    embedding_scale: bool = True  # multiply token embeddings by √d_model
    embedding_norm: bool = False
    token_types: int = 0  # BERT's segment embeddings
    share_embeddings: bool = True  # one matrix for source and target
    source_vocab_size: int | None = None  # of the source, where not shared; None: vocab_size
    tie_output: bool = True  # the output projection is the (target) embedding
    output_scale: float = 1.0  # multiplies the features before the projection (T5: d_model^-½)
    output_bias: bool = False
    head: str = "linear"

    dropout: float = 0.1  # of embeddings and of each sublayer's output
    attention_dropout: float = 0.0  # of attention weights
    activation_dropout: float = 0.0  # inside the feed-forward

    initialization: str = "xavier"
    initialization_std: float = 0.02

    def __post_init__(self) -> None:
        _check_numbers(self)
        self._check_sizes()
        self._check_shape()
        self._check_heads()
        self._check_rates()

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

    def _check_sizes(self) -> None:
        for name in ("vocab_size", "d_model", "d_ff", "heads", "max_positions", "window"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("kv_heads", "d_head", "source_vocab_size"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in (
            "encoder_layers",
            "decoder_layers",
            "global_tokens",
            "token_types",
            "position_offset",
        ):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it cannot be negative")
        if self.norm_eps <= 0 or self.rotary_base <= 1:
            raise ConfigError("norm_eps must be above 0 and rotary_base above 1")
        if self.relative_buckets < 4 or self.relative_max_distance <= self.relative_buckets // 2:
            raise ConfigError(
                "relative_buckets must be at least 4, relative_max_distance above half"
            )

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

    def _check_heads(self) -> None:
        if self.d_head is None and self.d_model % self.heads:
            raise ConfigError(
                f"d_model {self.d_model} is not a multiple of {self.heads} heads; "
                "change one, or set d_head"
            )
        if self.heads % self.key_value_heads:
            raise ConfigError(f"heads {self.heads} is not a multiple of kv_heads {self.kv_heads}")
        if self.positions == "rotary" and self.head_width % 2:
            raise ConfigError(f"rotary positions need an even head width, not {self.head_width}")

    def _check_rates(self) -> None:
        for name in ("dropout", "attention_dropout", "activation_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be in [0, 1)")


def _check_numbers(fields: msgspec.Struct) -> None:
    """Raise ConfigError for a number too large for any network, or NaN."""
    for name, value in msgspec.structs.asdict(fields).items():
        if isinstance(value, int | float) and not abs(value) <= _LARGEST:
            raise ConfigError(f"{name} is {value}; no number may be above {_LARGEST:,}")


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
    try:
        return msgspec.convert(fields, TransformerConfig)
    except msgspec.ValidationError as error:
        cause = error.__cause__
        raise ConfigError(str(cause if isinstance(cause, ConfigError) else error)) from None


def config_to_fields(config: TransformerConfig) -> dict[str, Any]:
    """Return all fields as plain JSON values."""
    fields: dict[str, Any] = msgspec.to_builtins(config)
    return fields
