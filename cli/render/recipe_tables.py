"""The presets of models and the keys of recipes, as `train --presets` and `--keys` list them."""

import textwrap
from collections.abc import Iterator
from typing import Any

from tokenizer.quantities import format_large
from transformer.presets import OPEN_VOCABULARY, PRESETS
from transformer.training.defaults import DEFAULTS
from transformer.training.recipe import Recipe
from transformer.training.recipe_keys import RecipeKey, recipe_keys

from ..console import page_width

_NARROW = 60  # columns of a terminal
_TITLES = {
    "encoder-decoder": (
        "Translation (--objective translation), and pre-training for it (span-corruption, "
        "denoising, prefix-lm)"
    ),
    "decoder": "Language models (--objective language-model)",
    "encoder": "Masked language models (--objective masked-lm)",
}


def preset_lines() -> Iterator[str]:
    """Yield a line for each preset: its name, the number of its weights, and its purpose."""
    default = {values["model"]["preset"] for values in DEFAULTS.values()}
    for shape, title in _TITLES.items():
        yield from textwrap.wrap(f"{title}:", page_width())
        for name, preset in PRESETS.items():
            if preset.fields["shape"] == shape:
                mark = " (default)" if name in default else ""
                head = f"  {name:<17} {format_large(preset.weights):>6}  "
                indent = " " * (len(head) if page_width() > _NARROW else 4)
                yield from textwrap.wrap(
                    f"{head}{preset.purpose}{mark}", page_width(), subsequent_indent=indent
                )
        yield ""
    yield from textwrap.wrap(
        "Weights of translate-*, write-* and *-tiny are counted with "
        f"{OPEN_VOCABULARY:,} tokens. "
        "--set model.KEY=VALUE changes any field of a preset; --keys lists them.",
        page_width(),
        break_on_hyphens=False,
    )


def key_lines() -> Iterator[str]:
    """Yield lines for each key of a recipe: its name, its default, and what it says."""
    section = None
    for key in recipe_keys(Recipe):
        before, dot, _ = key.name.partition(".")
        if dot and before != section:
            section = before
            yield ""
        yield from textwrap.wrap(
            f"{key.name} = {_value(key)}",
            page_width(),
            subsequent_indent="    ",
            break_on_hyphens=False,
        )
        yield from textwrap.wrap(
            _description(key),
            page_width(),
            initial_indent="    ",
            subsequent_indent="    ",
            break_on_hyphens=False,  # names stay whole
        )
    yield ""
    yield from textwrap.wrap(
        "In a recipe the keys stand in sections, as in [training] steps = 2000; on the command "
        "line it is --set training.steps=2000.",
        page_width(),
    )


def _value(key: RecipeKey) -> str:
    """Return a key's default as TOML has it; … where a preset or the tokenizer decides."""
    import msgspec

    if key.default is None:
        return "…"
    return msgspec.json.encode(key.default).decode().replace(",", ", ")


def _description(key: RecipeKey) -> str:
    """Return what a key says, and what it is for each objective that changes it."""
    section, _, name = key.name.rpartition(".")
    changed = (
        f"{objective}: {_toml(values[section][name])}"
        for objective, values in DEFAULTS.items()
        if name in values.get(section, {})
    )
    return "; ".join([key.description, *changed])


def _toml(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:g}"
