"""Llama (arXiv 2307.09288, 2407.21783) and Mistral (arXiv 2310.06825)."""

from collections.abc import Callable
from typing import Any, NamedTuple

from ..config import TransformerConfig
from ..layer_spec import RotaryScaling
from .activations import GATED_ACTIVATIONS, published_name
from .config_reader import ConfigReader, TensorNames, is_tied
from .family import Family
from .label_heads import LabelHead
from .name_map import NameMap

_NAMES = NameMap(
    """
    embedding = {p}embed_tokens | lm_head
    head = lm_head
    decoder.layers.{i}.attention.qkv = {p}layers.{i}.self_attn.{q,k,v}_proj
    decoder.layers.{i}.attention.out = {p}layers.{i}.self_attn.o_proj
    decoder.layers.{i}.attention_residual.norm = {p}layers.{i}.input_layernorm
    decoder.layers.{i}.feedforward.up = {p}layers.{i}.mlp.{gate,up}_proj
    decoder.layers.{i}.feedforward.down = {p}layers.{i}.mlp.down_proj
    decoder.layers.{i}.feedforward_residual.norm = {p}layers.{i}.post_attention_layernorm
    decoder.norm = {p}norm
    """,
    prefix="model.",
)


_UNUSED_WINDOW = 256  # of full attention, which ignores it


class _Sizes(NamedTuple):
    """The sizes that a family has where a file does not say them."""

    d_ff: int
    max_positions: int
    kv_heads: int | None = None  # None: as many as heads


_LLAMA_SIZES = _Sizes(d_ff=11_008, max_positions=2048)
_MISTRAL_SIZES = _Sizes(d_ff=14_336, max_positions=131_072, kv_heads=8)
_MISTRAL_WINDOW = 4096


def _read(
    reader: ConfigReader,
    names: TensorNames,
    *,
    sizes: _Sizes,
    bias: bool = False,
    attention_bias: bool | None = None,
    window: int | None = None,
) -> TransformerConfig:
    heads = reader.integer("num_attention_heads", 32)
    width = reader.integer("hidden_size", 4096)
    kv_heads = None if reader.is_null("num_key_value_heads") else sizes.kv_heads
    max_positions = reader.integer("max_position_embeddings", sizes.max_positions)
    rotary_base, rotary_scaling = _read_rotary(reader, max_positions)
    return TransformerConfig(
        shape="decoder",
        vocab_size=reader.integer("vocab_size", 32_000),
        d_model=width,
        d_ff=reader.integer("intermediate_size", sizes.d_ff),
        decoder_layers=reader.integer("num_hidden_layers", 32),
        heads=heads,
        kv_heads=reader.integer("num_key_value_heads", kv_heads or heads),
        d_head=reader.integer("head_dim", width // max(1, heads)),
        positions="rotary",
        max_positions=max_positions,
        rotary_base=rotary_base,
        rotary_scaling=rotary_scaling,
        attention="full" if window is None else "sliding",
        window=_UNUSED_WINDOW if window is None else window,
        feedforward=reader.choice("hidden_act", GATED_ACTIVATIONS, "silu"),
        norm="rmsnorm",
        norm_eps=reader.number("rms_norm_eps", 1e-6),
        norm_placement="pre",
        final_norm=True,
        bias=bias,
        attention_bias=attention_bias,
        embedding_scale=False,
        tie_output=is_tied(reader, names, False, "lm_head.weight", "model.embed_tokens.weight"),
        dropout=0.0,
        attention_dropout=reader.number("attention_dropout", 0.0),
        initialization="gpt2",
    )


def _read_rotary(reader: ConfigReader, max_positions: int) -> tuple[float, RotaryScaling | None]:
    """Return the base and its scaling, under their names of any year.

    As in transformers, what stands in the nested options wins over the same name outside, but for
    the original context, of which the outer one wins.
    """
    options = [reader.get(name, dict) for name in ("rope_scaling", "rope_parameters")]
    inner = ConfigReader(options[0] or options[1] or {}, f"{reader.source}: rope_scaling")
    kind = inner.get("rope_type", str, inner.get("type", str, "default"))
    base = inner.number("rope_theta", reader.number("rope_theta", 10_000.0))
    for source in (inner, reader):
        source.must_be("partial_rotary_factor", 1.0)
    original = inner.integer("original_max_position_embeddings", max_positions)
    original = reader.integer("original_max_position_embeddings", original)
    read_scaling = _SCALINGS.get(kind)
    if read_scaling is None:
        allowed = ", ".join(_SCALINGS)
        raise inner.error(f"rope_type is {kind!r}, which is not supported; only: {allowed}")
    scaling = read_scaling(inner, original)
    inner.finish()
    return base, scaling


def _read_linear(reader: ConfigReader, _original_context: int) -> RotaryScaling:
    return RotaryScaling(kind="linear", factor=reader.required_number("factor"))


def _read_llama3(reader: ConfigReader, original_context: int) -> RotaryScaling:
    return RotaryScaling(
        kind="llama3",
        factor=reader.required_number("factor"),
        low=reader.required_number("low_freq_factor"),
        high=reader.required_number("high_freq_factor"),
        original_context=original_context,
    )


# From the nested options and the context before scaling.
_SCALINGS: dict[str, Callable[[ConfigReader, int], RotaryScaling | None]] = {
    "default": lambda _reader, _original_context: None,
    "linear": _read_linear,
    "llama3": _read_llama3,
}


def _read_llama(reader: ConfigReader, names: TensorNames) -> TransformerConfig:
    mlp = reader.flag("mlp_bias", False)
    attention = reader.flag("attention_bias", False)
    return _read(reader, names, sizes=_LLAMA_SIZES, bias=mlp, attention_bias=attention)


def _read_mistral(reader: ConfigReader, names: TensorNames) -> TransformerConfig:
    reader.get("layer_types", list)  # repeats what sliding_window says
    for unsupported in ("mlp_bias", "attention_bias"):  # of a Llama
        reader.must_be(unsupported, False)
    window = reader.get("sliding_window", int)
    if window is None and not reader.is_null("sliding_window"):
        window = _MISTRAL_WINDOW
    return _read(reader, names, sizes=_MISTRAL_SIZES, window=window)


def _write(config: TransformerConfig) -> dict[str, Any]:
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "intermediate_size": config.d_ff,
        "num_hidden_layers": config.decoder_layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.key_value_heads,
        "head_dim": config.head_width,
        "hidden_act": published_name(config.feedforward, GATED_ACTIVATIONS),
        "max_position_embeddings": config.max_positions,
        "rms_norm_eps": config.norm_eps,
        "tie_word_embeddings": config.tie_output,
        "attention_dropout": config.attention_dropout,
        "rope_theta": config.rotary_base,
        "rope_scaling": _write_scaling(config.rotary_scaling),
    }


def _write_scaling(scaling: RotaryScaling | None) -> dict[str, Any] | None:
    if scaling is None:
        return None
    options: dict[str, Any] = {"rope_type": scaling.kind, "factor": scaling.factor}
    if scaling.kind == "llama3":
        options["low_freq_factor"] = scaling.low
        options["high_freq_factor"] = scaling.high
        options["original_max_position_embeddings"] = scaling.original_context
    return options


def _write_llama(config: TransformerConfig) -> dict[str, Any]:
    attention = config.has_attention_bias
    return {**_write(config), "mlp_bias": config.bias, "attention_bias": attention}


def _write_mistral(config: TransformerConfig) -> dict[str, Any]:
    window = config.window if config.attention == "sliding" else None
    return {**_write(config), "sliding_window": window}


def _label_heads(name: str) -> dict[str, LabelHead]:
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


_IGNORED = ("*.rotary_emb.inv_freq",)

LLAMA = Family(
    read=_read_llama,
    write=_write_llama,
    names=lambda _config: _NAMES,
    ignored=_IGNORED,
    architecture="LlamaForCausalLM",
    prefix="model.",
    tied_by_default=False,
).with_label_heads(**_label_heads("Llama"))
MISTRAL = Family(
    read=_read_mistral,
    write=_write_mistral,
    names=lambda _config: _NAMES,
    ignored=_IGNORED,
    architecture="MistralForCausalLM",
    prefix="model.",
    tied_by_default=False,
).with_label_heads(**_label_heads("Mistral"))
