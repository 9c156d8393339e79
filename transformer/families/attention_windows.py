"""The option attention_window of Longformer and LED: one for all layers, or each layer's own.

It counts the tokens on both sides of a token, half of it on each; our `window` is the distance
from which on nothing is seen.
"""

from typing import Any

from msgspec import structs

from tokenizer.quantities import format_count

from ..config import TransformerConfig
from ..errors import ConfigError
from ..layer_spec import LayerSpec
from .config_reader import ConfigReader
from .layer_types import by_turns

_DEFAULT = 512


def with_windows(config: TransformerConfig, reader: ConfigReader) -> TransformerConfig:
    """Return the network with longformer attention, with the windows of a file in its encoder."""
    given = reader.get("attention_window", (int, list), _DEFAULT)
    layers = config.encoder_layers
    sizes = given if isinstance(given, list) else [given] * layers
    if len(sizes) != layers:
        raise reader.error(
            f"attention_window has {format_count(len(sizes), 'entry', 'entries')}; there are "
            f"{format_count(layers, 'layer')}"
        )
    for size in sizes:
        if not isinstance(size, int) or isinstance(size, bool) or size < 2 or size % 2:
            raise reader.error(f"attention_window is {size!r}; it must be an even number above 0")
    windows = [size // 2 + 1 for size in sizes]
    each = [LayerSpec(window=window) for window in windows]
    return structs.replace(
        config,
        attention="longformer",
        window=max(windows),
        layers=by_turns(each) if len(set(windows)) > 1 else None,
    )


def write_windows(config: TransformerConfig) -> dict[str, Any]:
    """Return the option of a network's windows. Raises ConfigError for one that it cannot say."""
    layers = [config.of_layer(number) for number in range(config.encoder_layers)]
    sizes = [2 * (layer.window - 1) for layer in layers]
    if config.attention == "longformer" and 0 in sizes:
        raise ConfigError("a window of 1, in which a token sees itself alone, has no number there")
    return {"attention_window": sizes}
