"""SmolLM3: layers without positions among rotary ones (arXiv 2501.18795)."""

from typing import Any

import msgspec

from ..config import TransformerConfig
from ..layer_spec import LayerSpec
from .config_reader import ConfigReader, TensorNames
from .family import Family
from .gated_decoders import (
    IGNORED,
    Defaults,
    decoder_label_heads,
    read_decoder,
    write_decoder,
)
from .layer_types import by_turns, count_listed_layers, read_used_windows, write_used_windows
from .llama import LLAMA_NAMES

_DEFAULTS = Defaults(
    d_ff=11_008,
    max_positions=32_768,
    vocab_size=128_256,
    d_model=2048,
    layers=36,
    heads=16,
    kv_heads=4,
    tied=True,
    rotary_base=2e6,
)
_INTERVAL = 4  # every so many layers, one has no positions


def _read_rotary_layers(reader: ConfigReader, count: int) -> list[bool]:
    """Read which layers have rotary positions: `no_rope_layers` has a 1 for those that do."""
    interval = reader.integer("no_rope_layer_interval", _INTERVAL)
    listed: list[Any] | None = reader.get("no_rope_layers", list)
    if listed is None:
        if interval < 1:
            raise reader.error(f"no_rope_layer_interval is {interval}; it must be 1 or more")
        return [number % interval != 0 for number in range(1, count + 1)]
    if len(listed) < count or any(each not in (0, 1) for each in listed):
        raise reader.error("no_rope_layers must have a 0 or a 1 for each layer")
    return [bool(each) for each in listed[:count]]


def _read(reader: ConfigReader, names: TensorNames) -> TransformerConfig:
    count = count_listed_layers(reader, _DEFAULTS.layers)
    rotary = _read_rotary_layers(reader, count)
    layers: list[LayerSpec] = read_used_windows(
        reader, count, default_window=None, is_local=lambda number: not rotary[number]
    )
    return read_decoder(
        reader,
        names,
        _DEFAULTS,
        bias=reader.flag("mlp_bias", False),
        attention_bias=reader.flag("attention_bias", False),
        layers=by_turns(
            [
                layer if is_rotary else msgspec.structs.replace(layer, positions="none")
                for layer, is_rotary in zip(layers, rotary, strict=True)
            ]
        ),
    )


def _write(config: TransformerConfig) -> dict[str, Any]:
    layers = map(config.of_layer, range(config.decoder_layers))
    return {
        **write_decoder(config),
        **write_used_windows(config),
        "no_rope_layers": [int(layer.positions != "none") for layer in layers],
        "mlp_bias": config.bias,
        "attention_bias": config.has_attention_bias,
    }


SMOLLM3 = Family(
    read=_read,
    write=_write,
    names=lambda _config: LLAMA_NAMES,
    ignored=IGNORED,
    architecture="SmolLM3ForCausalLM",
    prefix="model.",
).with_label_heads(**decoder_label_heads("SmolLM3"))
