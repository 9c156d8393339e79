"""Phi-3 (arXiv 2404.14219), Phi-3.5, Phi-4 (2412.08905) and Phi-4-mini (2503.01743).

A text longer than the original context has other rotary frequencies than a shorter one. Here each
text of a batch has its own; transformers gives all those of the longest. Where a text outgrows that
context while it is written, transformers computes all its keys anew; here those that it has stay.
"""

from functools import partial
from typing import Any

from ..config import TransformerConfig
from ..layer_spec import RotaryScaling
from .config_reader import ConfigReader, TensorNames
from .family import Family
from .gated_decoders import (
    IGNORED,
    UNUSED_WINDOW,
    Defaults,
    decoder_label_heads,
    read_decoder,
    write_decoder,
)
from .llama import LLAMA_NAMES
from .rotary_options import (
    RotaryOptions,
    nested_rotary_options,
    no_scaling,
    read_rotary_set,
)

_NAMES = LLAMA_NAMES.with_lines(
    """
    decoder.layers.{i}.attention.qkv = {p}layers.{i}.self_attn.qkv_proj
    decoder.layers.{i}.feedforward.up = {p}layers.{i}.mlp.gate_up_proj
    """
)

_PHI3 = Defaults(d_ff=8192, max_positions=4096, vocab_size=32_064, d_model=3072, norm_eps=1e-5)
_CONTEXT = 4096  # the original one, of files that do not say it
_LONGROPE = ("longrope", "su", "yarn")  # one kind under its names of three years


def _read(reader: ConfigReader, names: TensorNames) -> TransformerConfig:
    reader.get("auto_map", dict)  # Microsoft's code, as in transformers; `family_of` has seen it
    for unsupported in ("attention_bias", "mlp_bias", "lm_head_bias"):
        reader.must_be(unsupported, False)
    for unsupported in ("full_attn_mod", "interpolate_factor"):
        reader.must_be(unsupported, 1)
    window = reader.get("sliding_window", int)
    return read_decoder(
        reader,
        names,
        _PHI3,
        rotary=_read_rotary(reader),
        attention="full" if window is None else "sliding",
        window=UNUSED_WINDOW if window is None else window,
        dropout=reader.number("resid_pdrop", 0.0),
    )


def _read_rotary(reader: ConfigReader) -> RotaryOptions:
    """Read rotary positions. The original context is that outside, or its default, in any case."""
    inner = nested_rotary_options(reader)
    read_longrope = partial(
        _read_longrope,
        max_positions=reader.integer("max_position_embeddings", _PHI3.max_positions),
    )
    return read_rotary_set(
        inner,
        base=reader.number("rope_theta", _PHI3.rotary_base),
        original_context=reader.integer("original_max_position_embeddings", _CONTEXT),
        fraction=reader.number("partial_rotary_factor", 1.0),
        scalings={"default": no_scaling, **dict.fromkeys(_LONGROPE, read_longrope)},
    )


def _read_longrope(
    reader: ConfigReader, original_context: int, *, max_positions: int
) -> RotaryScaling:
    attention_factor = reader.get("attention_factor", (int, float))
    return RotaryScaling(
        kind="longrope",
        factor=reader.number("factor", _growth(max_positions, original_context)),
        original_context=original_context,
        short_factors=_read_factors(reader, "short_factor"),
        long_factors=_read_factors(reader, "long_factor"),
        attention_factor=None if attention_factor is None else float(attention_factor),
    )


def _read_factors(reader: ConfigReader, name: str) -> tuple[float, ...]:
    """Read a factor for each pair of rotated dimensions."""
    factors = reader.get(name, list)
    if factors is None:
        raise reader.error(f"{name} is missing")
    for number, factor in enumerate(factors):
        if not isinstance(factor, int | float) or isinstance(factor, bool):
            raise reader.error(f"{name}'s entry {number} is {str(factor)[:60]}, not a number")
    return tuple(map(float, factors))


def _growth(max_positions: int, original_context: int) -> float:
    return max_positions / max(1, original_context)


def _write(config: TransformerConfig) -> dict[str, Any]:
    scaling = config.rotary_scaling
    return {
        **write_decoder(config),
        **(_write_longrope(config, scaling) if scaling and scaling.kind == "longrope" else {}),
        "original_max_position_embeddings": (
            scaling.original_context if scaling else config.max_positions
        ),
        "partial_rotary_factor": config.rotary_fraction,
        "sliding_window": config.window if config.attention == "sliding" else None,
        "resid_pdrop": config.dropout,
        "embd_pdrop": config.dropout,
    }


def _write_longrope(config: TransformerConfig, scaling: RotaryScaling) -> dict[str, Any]:
    """Return the options of a scaling; transformers 4 refuses more than three where these do."""
    options: dict[str, Any] = {
        "type": "longrope",
        "short_factor": list(scaling.short_factors),
        "long_factor": list(scaling.long_factors),
    }
    if scaling.factor != _growth(config.max_positions, scaling.original_context):
        options["factor"] = scaling.factor
    if scaling.attention_factor is not None:
        options["attention_factor"] = scaling.attention_factor
    return {"rope_scaling": options}


PHI3 = Family(
    read=_read,
    write=_write,
    names=lambda _config: _NAMES,
    ignored=IGNORED,
    architecture="Phi3ForCausalLM",
    prefix="model.",
    tied_by_default=False,
    known_code=("configuration_phi3.Phi3Config", "modeling_phi3.Phi3*"),
).with_label_heads(**decoder_label_heads("Phi3"))
