"""Options of rotary positions in config.json, under their names of any year."""

from collections.abc import Callable
from typing import Any, NamedTuple

from ..config import TransformerConfig
from ..layer_spec import RotaryScaling
from .config_reader import ConfigReader


class RotaryOptions(NamedTuple):
    """Rotary positions as a family's files have them."""

    base: float
    scaling: RotaryScaling | None
    fraction: float = 1.0


def read_rotary(reader: ConfigReader, max_positions: int, *, base: float = 1e4) -> RotaryOptions:
    """Read rotary positions; `base` is that of files which do not say it.

    As in transformers, what stands in the nested options wins over the same name outside, but for
    the original context, of which the outer one wins.
    """
    options = [reader.get(name, dict) for name in ("rope_scaling", "rope_parameters")]
    inner = ConfigReader(options[0] or options[1] or {}, f"{reader.source}: rope_scaling")
    kind = inner.get("rope_type", str, inner.get("type", str, "default"))
    base = inner.number("rope_theta", reader.number("rope_theta", base))
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
    return RotaryOptions(base, scaling)


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


def write_rotary(config: TransformerConfig) -> dict[str, Any]:
    """Return the options of a network's rotary positions."""
    return {
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
