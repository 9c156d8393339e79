"""Lists of layers in config.json: which attend to a window, and which to all."""

from collections.abc import Callable, Sequence
from typing import Any

from ..config import TransformerConfig
from ..layer_spec import LayerSpec
from .config_reader import ConfigReader

FULL, SLIDING = "full_attention", "sliding_attention"
_MOST_LAYERS = 1000  # that are looked at one by one, before it is known how many the weights are of


def by_turns(layers: Sequence[LayerSpec]) -> tuple[LayerSpec, ...] | None:
    """Return the shortest list that gives these layers by turns; None where all are plain.

    >>> local, plain = LayerSpec(window=4), LayerSpec()
    >>> by_turns([local, plain, local]) == (local, plain), by_turns([plain, plain])
    (True, None)
    """
    if not layers:
        return None
    sizes = range(1, len(layers) + 1)
    turn = next(
        size
        for size in sizes
        if all(layer == layers[number % size] for number, layer in enumerate(layers))
    )
    return None if list(layers[:turn]) == [LayerSpec()] else tuple(layers[:turn])


def count_listed_layers(reader: ConfigReader, default: int) -> int:
    """Read the number of layers of a family whose layers are told one by one."""
    count = reader.integer("num_hidden_layers", default)
    if not 1 <= count <= _MOST_LAYERS:
        raise reader.error(f"num_hidden_layers is {count:,}; it must be 1 to {_MOST_LAYERS:,}")
    return count


def read_turns(reader: ConfigReader, layers: int, turn: Sequence[str]) -> list[str]:
    """Read the kinds of layers, FULL or SLIDING; without a list of them, they are one `turn`."""
    kinds: list[str] | None = reader.get("layer_types", list)
    return list(turn[: max(0, layers)]) if kinds is None else _checked(reader, kinds, layers)


def read_layer_types(reader: ConfigReader, default: Sequence[str]) -> list[str]:
    """Read the kind of each layer, FULL or SLIDING; `default` where a file does not say it."""
    return _checked(reader, reader.get("layer_types", list, list(default)), len(default))


def _checked(reader: ConfigReader, kinds: list[str], layers: int) -> list[str]:
    if len(kinds) != layers:
        raise reader.error(
            f"layer_types has {len(kinds):,} entries; it must have {layers:,}, one a layer"
        )
    for kind in kinds:
        if kind not in (FULL, SLIDING):
            raise reader.error(
                f"layer_types has {kind!r}, which is not supported; only: {FULL}, {SLIDING}"
            )
    return kinds


def read_used_windows(
    reader: ConfigReader,
    count: int,
    *,
    default_window: int | None,
    is_local: Callable[[int], bool],
) -> list[LayerSpec]:
    """Read the windows of a family that has them only where `use_sliding_window` says so.

    `is_local` says which layers of the `count` have one in a file that does not list them.
    """
    used = reader.flag("use_sliding_window", False)
    default_window = None if reader.is_null("sliding_window") else default_window
    window: int | None = reader.get("sliding_window", int, default_window)
    window = window if used else None
    usual = [
        SLIDING if window is not None and is_local(number) else FULL for number in range(count)
    ]
    kinds = read_layer_types(reader, usual)
    if SLIDING in kinds and window is None:
        raise reader.error(
            f"layer_types has {SLIDING!r}, but there is no window: "
            + ("sliding_window is missing" if used else "use_sliding_window is False")
        )
    local, plain = LayerSpec(attention="sliding", window=window), LayerSpec()
    return [local if kind == SLIDING else plain for kind in kinds]


def write_used_windows(config: TransformerConfig) -> dict[str, Any]:
    """Return what `read_used_windows` reads."""
    return {"use_sliding_window": SLIDING in layer_types_of(config), **write_layer_types(config)}


def layer_types_of(config: TransformerConfig) -> list[str]:
    """Return the kind of each layer of a network, FULL or SLIDING."""
    layers = (config.of_layer(number) for number in range(config.decoder_layers))
    return [SLIDING if layer.attention == "sliding" else FULL for layer in layers]


def write_layer_types(config: TransformerConfig, *, unused: int | None = None) -> dict[str, Any]:
    """Return the options of a network's windows: each layer's kind, and the size of all of them.

    Where no layer attends to a window, its size is said to be `unused`.
    """
    windows = {
        layer.window
        for layer in map(config.of_layer, range(config.decoder_layers))
        if layer.attention == "sliding"
    }
    return {"layer_types": layer_types_of(config), "sliding_window": max(windows, default=unused)}
