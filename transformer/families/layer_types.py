"""Lists of layers in config.json: which attend to a window, and which to all."""

from collections.abc import Sequence
from typing import Any

from ..config import TransformerConfig
from ..layer_spec import LayerSpec
from .config_reader import ConfigReader

FULL, SLIDING = "full_attention", "sliding_attention"


def by_turns(layers: Sequence[LayerSpec]) -> tuple[LayerSpec, ...] | None:
    """Return the shortest list that gives these layers by turns; None where all are plain.

    >>> local, plain = LayerSpec(window=4), LayerSpec()
    >>> by_turns([local, plain, local]) == (local, plain), by_turns([plain, plain])
    (True, None)
    """
    sizes = range(1, len(layers) + 1)
    turn = next(
        size
        for size in sizes
        if all(layer == layers[number % size] for number, layer in enumerate(layers))
    )
    return None if list(layers[:turn]) == [LayerSpec()] else tuple(layers[:turn])


def read_layer_types(reader: ConfigReader, default: Sequence[str]) -> list[str]:
    """Read the kind of each layer, FULL or SLIDING; `default` where a file does not say it."""
    kinds: list[str] = reader.get("layer_types", list, list(default))
    if len(kinds) != len(default):
        raise reader.error(
            f"layer_types has {len(kinds):,} entries; there are {len(default):,} layers"
        )
    for kind in kinds:
        if kind not in (FULL, SLIDING):
            raise reader.error(
                f"layer_types has {kind!r}, which is not supported; only: {FULL}, {SLIDING}"
            )
    return kinds


def layer_types_of(config: TransformerConfig) -> list[str]:
    """Return the kind of each layer of a network, FULL or SLIDING."""
    layers = (config.of_layer(number) for number in range(config.decoder_layers))
    return [SLIDING if layer.attention == "sliding" else FULL for layer in layers]


def write_layer_types(config: TransformerConfig) -> dict[str, Any]:
    """Return the options of a network's windows: each layer's kind, and the size of all of them."""
    windows = {
        layer.window
        for layer in map(config.of_layer, range(config.decoder_layers))
        if layer.attention == "sliding"
    }
    return {"layer_types": layer_types_of(config), "sliding_window": max(windows, default=None)}
