"""Gemma 2 (arXiv 2408.00118), and Gemma 3 without images (arXiv 2503.19786)."""

from collections.abc import Sequence
from typing import Any, Unpack

from ..config import TransformerConfig
from ..layer_spec import LayerSpec, RotaryScaling
from .config_reader import ConfigReader, TensorNames
from .family import Family
from .gated_decoders import (
    IGNORED,
    QK_NORM_LINES,
    UNUSED_WINDOW,
    DecoderFields,
    Defaults,
    decoder_label_heads,
    read_decoder,
    write_decoder,
)
from .layer_types import FULL, SLIDING, by_turns, read_turns, write_layer_types
from .name_map import NameMap
from .rotary_options import (
    RotaryOptions,
    read_rotary_set,
    write_rotary,
    write_rotary_set,
)

_LINES = """
    embedding = {p}embed_tokens | lm_head
    head = lm_head
    decoder.layers.{i}.attention.qkv = {p}layers.{i}.self_attn.{q,k,v}_proj
    decoder.layers.{i}.attention.out = {p}layers.{i}.self_attn.o_proj
    decoder.layers.{i}.attention_residual.norm = {p}layers.{i}.input_layernorm
    decoder.layers.{i}.attention_residual.output_norm = {p}layers.{i}.post_attention_layernorm
    decoder.layers.{i}.feedforward.up = {p}layers.{i}.mlp.{gate,up}_proj
    decoder.layers.{i}.feedforward.down = {p}layers.{i}.mlp.down_proj
    decoder.layers.{i}.feedforward_residual.norm = {p}layers.{i}.pre_feedforward_layernorm
    decoder.layers.{i}.feedforward_residual.output_norm = {p}layers.{i}.post_feedforward_layernorm
    decoder.norm = {p}norm
"""
GEMMA2_NAMES = NameMap(_LINES, prefix="model.")
GEMMA3_NAMES = NameMap(_LINES + QK_NORM_LINES, prefix="model.")

_GEMMA2 = Defaults(
    d_ff=9216,
    max_positions=8192,
    vocab_size=256_000,
    d_model=2304,
    layers=26,
    heads=8,
    kv_heads=4,
    d_head=256,
    tied=True,
    activation="gelu_pytorch_tanh",
)
_GEMMA3 = _GEMMA2._replace(max_positions=131_072, vocab_size=262_208)
_WINDOW, _QUERY_SCALAR = 4096, 256.0
_TURN2, _PERIOD3, _LONGEST_PERIOD = (SLIDING, FULL), 6, 1000
_BASE3, _LOCAL_BASE3 = 1e6, 1e4
_UNSCALED = RotaryScaling(kind="linear", factor=1.0)  # of a layer whose network is scaled
_LEAST_SCALE = 1e-9  # of which the square can be divided by


def _read_gemma2(reader: ConfigReader, names: TensorNames) -> TransformerConfig:
    kinds = read_turns(reader, reader.integer("num_hidden_layers", _GEMMA2.layers), _TURN2)
    has_window = not reader.is_null("sliding_window")
    window = reader.integer("sliding_window", _WINDOW) if has_window else None
    reader.must_be("sliding_window_size", window)  # which repeats it
    local, full = LayerSpec(attention="sliding"), LayerSpec()
    return _read_gemma(
        reader,
        names,
        _GEMMA2,
        kinds,
        attention_softcap=_read_cap(reader, "attn_logit_softcapping", 50.0),
        logit_softcap=_read_cap(reader, "final_logit_softcapping", 30.0),
        layers=by_turns([local if kind == SLIDING else full for kind in kinds]),
    )


def _read_gemma3(reader: ConfigReader, names: TensorNames) -> TransformerConfig:
    reader.must_be("attn_logit_softcapping", None)  # which transformers does not use here
    period = reader.integer("sliding_window_pattern", _PERIOD3)
    if not 1 <= period <= _LONGEST_PERIOD:
        raise reader.error(
            f"sliding_window_pattern is {period:,}; it must be 1 to {_LONGEST_PERIOD:,}"
        )
    turn = [*[SLIDING] * (period - 1), FULL]
    kinds = read_turns(reader, reader.integer("num_hidden_layers", _GEMMA3.layers), turn)
    of_full, of_local = _read_rotary3(reader)
    local = LayerSpec(
        attention="sliding",
        rotary_base=of_local.base,
        rotary_scaling=of_local.scaling or (_UNSCALED if of_full.scaling else None),
    )
    return _read_gemma(
        reader,
        names,
        _GEMMA3,
        kinds,
        rotary=of_full,
        qk_norm="per-head",
        logit_softcap=_read_cap(reader, "final_logit_softcapping", None),
        layers=by_turns([local if kind == SLIDING else LayerSpec() for kind in kinds]),
    )


def _read_gemma(
    reader: ConfigReader,
    names: TensorNames,
    defaults: Defaults,
    kinds: Sequence[str],
    *,
    rotary: RotaryOptions | None = None,
    **own: Unpack[DecoderFields],
) -> TransformerConfig:
    """Read what both have; `own` are the fields in which they differ."""
    reader.get("hidden_act", str)  # of Gemma 1; transformers reads `hidden_activation` alone
    reader.must_be("use_bidirectional_attention", False)
    fields: DecoderFields = {
        "attention_bias": reader.flag("attention_bias", False),
        "attention_scale": _read_scale(reader, reader.integer("head_dim", defaults.d_head)),
        "norm": "rmsnorm-zero-centered",
        "norm_placement": "sandwich",
        "embedding_scale": True,
        "window": _read_window(reader, kinds),
        **own,
    }
    activation = "hidden_activation"
    return read_decoder(
        reader, names, defaults, rotary=rotary, activation_option=activation, **fields
    )


def _read_window(reader: ConfigReader, kinds: Sequence[str]) -> int:
    if reader.is_null("sliding_window") and SLIDING in kinds:
        raise reader.error("sliding_window is null, and there are layers that need one")
    window = reader.integer("sliding_window", _WINDOW)
    return window if SLIDING in kinds else UNUSED_WINDOW


def _read_scale(reader: ConfigReader, head_width: int) -> float | None:
    """Read the factor of query-key products; None is the usual one of heads so wide."""
    scalar = reader.number("query_pre_attn_scalar", _QUERY_SCALAR)
    if scalar <= 0:
        raise reader.error(f"query_pre_attn_scalar is {scalar:g}; it must be above 0")
    return None if scalar == head_width else float(scalar**-0.5)


def _read_cap(reader: ConfigReader, name: str, default: float | None) -> float | None:
    """Read a soft cap; null is none."""
    cap = reader.get(name, (int, float), None if reader.is_null(name) else default)
    return None if cap is None else float(cap)


def _read_rotary3(reader: ConfigReader) -> tuple[RotaryOptions, RotaryOptions]:
    """Read rotary positions of full layers and of sliding ones, under old and new names."""
    sets = ConfigReader(
        reader.get("rope_parameters", dict, {}), f"{reader.source}: rope_parameters"
    )
    full: dict[str, Any] = {**sets.get(FULL, dict, {}), **reader.get("rope_scaling", dict, {})}
    local: dict[str, Any] = sets.get(SLIDING, dict, {})
    if flat := ", ".join(sets.unread):
        raise sets.error(
            f"outside {FULL} and {SLIDING} stands {flat}, of which transformers reads nothing: "
            "move it into one of them, or take it out"
        )
    bases = {
        FULL: reader.number("rope_theta", _BASE3),
        SLIDING: reader.number("rope_local_base_freq", _LOCAL_BASE3),
    }
    context = reader.integer("max_position_embeddings", _GEMMA3.max_positions)
    readers = {
        kind: ConfigReader(options, f"{sets.source}: {kind}")
        for kind, options in ((FULL, full), (SLIDING, local))
    }
    for each in (reader, *readers.values()):
        each.must_be("partial_rotary_factor", 1.0)
    found = (
        read_rotary_set(
            readers[kind],
            base=bases[kind],
            original_context=readers[kind].integer("original_max_position_embeddings", context),
        )
        for kind in (FULL, SLIDING)
    )
    return next(found), next(found)


def _write_gemma2(config: TransformerConfig) -> dict[str, Any]:
    return {**_write_gemma(config), "attn_logit_softcapping": config.attention_softcap}


def _write_gemma3(config: TransformerConfig) -> dict[str, Any]:
    layers = [config.of_layer(number) for number in range(config.decoder_layers)]
    first = {layer.attention: layer for layer in reversed(layers)}
    return {
        **_write_gemma(config),
        **_write_rotary3(first.get("full", config), first.get("sliding")),
    }


def _write_gemma(config: TransformerConfig) -> dict[str, Any]:
    scale = max(_LEAST_SCALE, abs(config.scale))
    return {
        **write_decoder(config, activation_option="hidden_activation"),
        **write_layer_types(config, unused=_WINDOW),
        "attention_bias": config.has_attention_bias,
        "query_pre_attn_scalar": max(1, round(scale**-2)),  # transformers has whole numbers
        "final_logit_softcapping": config.logit_softcap,
    }


def _write_rotary3(full: TransformerConfig, local: TransformerConfig | None) -> dict[str, Any]:
    """Return the options of rotary positions: under old names, where these can say it."""
    if local is None:
        return write_rotary(full)
    if local.rotary_scaling in (None, _UNSCALED):
        return {**write_rotary(full), "rope_local_base_freq": local.rotary_base}
    sets = {FULL: write_rotary_set(full), SLIDING: write_rotary_set(local)}
    return {"rope_parameters": sets, "rope_scaling": None}


GEMMA2 = Family(
    read=_read_gemma2,
    write=_write_gemma2,
    names=lambda _config: GEMMA2_NAMES,
    ignored=IGNORED,
    architecture="Gemma2ForCausalLM",
    prefix="model.",
).with_label_heads(**decoder_label_heads("Gemma2"))
GEMMA3 = Family(
    read=_read_gemma3,
    write=_write_gemma3,
    names=lambda _config: GEMMA3_NAMES,
    ignored=IGNORED,
    architecture="Gemma3ForCausalLM",
    prefix="model.",
).with_label_heads(classification=decoder_label_heads("Gemma3Text")["classification"])
