"""The options that families of decoders after Llama share: rotary, RMS norms, gated layers."""

from typing import Any, NamedTuple, TypedDict, Unpack

from ..config import TransformerConfig
from ..layer_spec import LayerSpec
from .activations import GATED_ACTIVATIONS, published_name
from .config_reader import ConfigReader, TensorNames, is_tied
from .label_heads import LabelHead
from .rotary_options import RotaryOptions, read_rotary, write_rotary

UNUSED_WINDOW = 256  # of full attention, which ignores it
IGNORED = ("*.rotary_emb.inv_freq",)
# Lines of name maps: norms of queries and keys.
QK_NORM_LINES = """
    decoder.layers.{i}.attention.q_norm.norm = {p}layers.{i}.self_attn.q_norm
    decoder.layers.{i}.attention.k_norm.norm = {p}layers.{i}.self_attn.k_norm
"""


class Defaults(NamedTuple):
    """The options that a family has where a file does not say them."""

    d_ff: int
    max_positions: int
    vocab_size: int = 32_000
    d_model: int = 4096
    layers: int = 32
    heads: int = 32
    kv_heads: int | None = None  # None: as many as heads
    d_head: int | None = None  # None: d_model / heads
    norm_eps: float = 1e-6
    tied: bool = False
    rotary_base: float = 10_000.0
    activation: str = "silu"


class DecoderFields(TypedDict, total=False):
    """Fields of a configuration in which these families differ."""

    bias: bool
    attention_bias: bool | None
    attention_output_bias: bool | None
    attention: str
    window: int
    attention_scale: float | None
    attention_softcap: float | None
    qk_norm: str
    layers: tuple[LayerSpec, ...] | None
    norm: str
    norm_placement: str
    embedding_scale: bool
    logit_softcap: float | None
    dropout: float


def read_decoder(
    reader: ConfigReader,
    names: TensorNames,
    defaults: Defaults,
    *,
    rotary: RotaryOptions | None = None,
    activation_option: str = "hidden_act",
    **fields: Unpack[DecoderFields],
) -> TransformerConfig:
    """Read the options that all these families have; `fields` are those that they differ in.

    `rotary` None: they are as Llama's.
    """
    heads = reader.integer("num_attention_heads", defaults.heads)
    width = reader.integer("hidden_size", defaults.d_model)
    kv_heads = None if reader.is_null("num_key_value_heads") else defaults.kv_heads
    max_positions = reader.integer("max_position_embeddings", defaults.max_positions)
    rotary = rotary or read_rotary(reader, max_positions, base=defaults.rotary_base)
    activation = reader.choice(activation_option, GATED_ACTIVATIONS, defaults.activation)
    own: DecoderFields = {
        "bias": False,
        "norm": "rmsnorm",
        "norm_placement": "pre",
        "embedding_scale": False,
        "window": UNUSED_WINDOW,
        "dropout": 0.0,
        **fields,
    }
    return TransformerConfig(
        shape="decoder",
        vocab_size=reader.integer("vocab_size", defaults.vocab_size),
        d_model=width,
        d_ff=reader.integer("intermediate_size", defaults.d_ff),
        decoder_layers=reader.integer("num_hidden_layers", defaults.layers),
        heads=heads,
        kv_heads=reader.integer("num_key_value_heads", kv_heads or heads),
        d_head=reader.integer("head_dim", defaults.d_head or width // max(1, heads)),
        positions="rotary",
        max_positions=max_positions,
        rotary_base=rotary.base,
        rotary_scaling=rotary.scaling,
        rotary_fraction=rotary.fraction,
        feedforward=activation,
        norm_eps=reader.number("rms_norm_eps", defaults.norm_eps),
        final_norm=True,
        tie_output=is_tied(
            reader, names, defaults.tied, "lm_head.weight", "model.embed_tokens.weight"
        ),
        attention_dropout=reader.number("attention_dropout", 0.0),
        initialization="gpt2",
        **own,
    )


def write_decoder(
    config: TransformerConfig, *, activation_option: str = "hidden_act"
) -> dict[str, Any]:
    """Return the options that all these families have."""
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "intermediate_size": config.d_ff,
        "num_hidden_layers": config.decoder_layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.key_value_heads,
        "head_dim": config.head_width,
        activation_option: published_name(config.feedforward, GATED_ACTIVATIONS),
        "max_position_embeddings": config.max_positions,
        "rms_norm_eps": config.norm_eps,
        "tie_word_embeddings": config.tie_output,
        "attention_dropout": config.attention_dropout,
        **write_rotary(config),
    }


def decoder_label_heads(name: str) -> dict[str, LabelHead]:
    """Return a family's heads over labels: of a text's last token, and of each."""
    return {
        "classification": LabelHead(
            architecture=f"{name}ForSequenceClassification",
            names="head = score",
            pooling="last",
            bias=False,
        ),
        "tagging": LabelHead(architecture=f"{name}ForTokenClassification", names="head = score"),
    }
