"""Keys of a recipe that its network does not read, and kinds of attention that lose something."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..attention import ATTENTION
from ..config import TransformerConfig
from ..layer_spec import LayerSpec
from ..loading import LoadedModel
from ..parameters import alike_layers
from ..positions import POSITIONS
from ..registry import either

# Fields whose variants each read further fields, and the verb behind their names.
_VARIANTS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "attention": ("is", ATTENTION),
    "positions": ("are", POSITIONS),
}


def network_notices(
    model: Mapping[str, Any], config: TransformerConfig, init: LoadedModel | None = None
) -> Iterator[str]:
    """Yield lines on what a network leaves out of what a recipe's `model` asks for.

    And on weights that were rounded before it starts from them.
    """
    if init is not None and init.rounding:
        yield init.rounding
    reasons: dict[str, list[str]] = {}
    for key, reason in [*_unused_keys(model, config), *_unused_in_layers(model, config)]:
        reasons.setdefault(reason, []).append(key)
    for reason, keys in reasons.items():
        *others, last = keys
        named = f"{', '.join(others)} and {last} have" if others else f"{last} has"
        yield f"{named} no effect: {reason}"
    yield from dict.fromkeys(_lacks(config, "encoder", config.encoder_layers, causal=False))
    yield from dict.fromkeys(_lacks(config, "decoder", config.decoder_layers, causal=True))


def _lacks(config: TransformerConfig, stack: str, layers: int, *, causal: bool) -> Iterator[str]:
    """Yield a line for each layer of a stack whose kind of attention lacks something there."""
    for own, _ in alike_layers(config, layers):
        if lack := ATTENTION[own.attention].lacks(own, causal=causal):
            yield f"the {stack}'s {own.attention} attention {lack}"


def _unused_keys(model: Mapping[str, Any], config: TransformerConfig) -> Iterator[tuple[str, str]]:
    """Yield the keys that no layer reads, and the reason."""
    specs = config.layers or (LayerSpec(),)
    for choice in _VARIANTS:
        if choice in model and all(getattr(spec, choice) for spec in specs):
            yield f"model.{choice}", "each layer has its own"
    for name, choice, kinds in _read_by_some():
        if name not in model:
            continue
        layers = [(getattr(config.of_layer(n), choice), spec) for n, spec in enumerate(specs)]
        reading = [spec for kind, spec in layers if kind in kinds]
        if not reading:
            verb, _ = _VARIANTS[choice]
            yield f"model.{name}", f"no layer's {choice} {verb} {either(kinds)}"
        elif all(getattr(spec, name, None) is not None for spec in reading):
            yield f"model.{name}", "each layer that reads it has its own"


def _unused_in_layers(
    model: Mapping[str, Any], config: TransformerConfig
) -> Iterator[tuple[str, str]]:
    """Yield the keys of tables of layers that their layer does not read, and the reason."""
    for number, spec in enumerate((config.layers or ()) if "layers" in model else ()):
        own = config.of_layer(number)
        for name, choice, kinds in _read_by_some():
            kind, (verb, _) = getattr(own, choice), _VARIANTS[choice]
            if getattr(spec, name, None) is not None and kind not in kinds:
                reason = f"the layer's {choice} {verb} {kind}, not {either(kinds)}"
                yield f"model.layers[{number}].{name}", reason


def _read_by_some() -> Iterator[tuple[str, str, list[str]]]:
    """Yield fields that some variants read, what these are variants of, and their names."""
    for choice, (_, variants) in _VARIANTS.items():
        for name in dict.fromkeys(name for each in variants.values() for name in each.fields):
            yield name, choice, [kind for kind, each in variants.items() if name in each.fields]
