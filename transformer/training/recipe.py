"""A training recipe: all settings of a run, as TOML. Imports no torch."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from tokenizer import read_text

from ..adapters.settings import AdapterSettings
from ..bounds import check_bounds, convert, doc
from ..durations import parse_duration
from ..errors import ConfigError, UnknownNameError
from ..noise_options import DenoisingOptions, MaskingOptions, SpanOptions
from ..registry import either, suggest
from .data_recipe import DataRecipe
from .defaults import DEFAULTS, METRIC_NAMES, NOISE_SECTIONS
from .recipe_keys import check_keys
from .recipe_types import (
    Count,
    Fraction,
    NonNegative,
    Positive,
    Size,
)
from .save_interval import parse_save_interval


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A section of a recipe: immutable, keyword-only, and strict about its keys.

    Each key has a description, which `train --keys` and the comments of recipes show.
    """


class TokenizerRecipe(_Section, frozen=True, kw_only=True):
    """The tokenizer: an existing one, or how to train one on the training text."""

    path: Annotated[str, doc("an existing tokenizer.json; empty: one is trained")] = ""
    kind: Annotated[str, doc("bpe, byte-bpe, unigram, wordpiece or char")] = "bpe"
    vocab_size: Annotated[Size, doc("the most tokens, special ones included")] = 8000
    normalization: Annotated[
        str, doc("Unicode normalization: none, nfc, nfkc or strip-accents")
    ] = "nfc"
    lowercase: Annotated[bool, doc("turn all text to lower case")] = False
    min_frequency: Annotated[
        int, doc("merge only pairs of tokens seen at least this often (bpe, byte-bpe, wordpiece)")
    ] = 2
    byte_fallback: Annotated[
        bool | None,
        doc("of bpe: spell unknown characters in bytes; unset: for 2,000 tokens and more"),
    ] = None
    special: Annotated[list[str], doc("tokens kept whole wherever a text has them")] = []
    grow: Annotated[
        Count,
        doc("the most tokens that an initial model's tokenizer learns from the training text"),
    ] = 0


class TrainingRecipe(_Section, frozen=True, kw_only=True):
    """Hyperparameters of training."""

    steps: Annotated[Size, doc("updates of the weights in all")] = 10_000
    epochs: Annotated[
        NonNegative,
        doc("readings of the text, in place of steps; 0: steps. A run keeps the steps"),
    ] = 0.0
    time: Annotated[
        str, doc("such as 20m: as many steps as fit into it; with epochs, whichever is less")
    ] = ""
    batch_tokens: Annotated[
        Size, doc("the most tokens of a micro-batch: rows × the longest side, padding included")
    ] = 4096
    accumulate: Annotated[Size, doc("micro-batches of a step")] = 1
    freeze: Annotated[
        list[str],
        doc("parameters that stay as they are, by names such as encoder.layers.0 or *.norm"),
    ] = []
    learning_rates: Annotated[
        dict[str, Positive],
        doc('factors of the rate by such names: {"head" = 5.0}; the last counts'),
    ] = {}
    context: Annotated[Size, doc("tokens of each window of running text")] = 256
    pack: Annotated[
        bool, doc("of a language model: windows of whole documents, none of which sees another")
    ] = False
    optimizer: Annotated[str, doc("adamw or sgd")] = "adamw"
    learning_rate: Annotated[Positive, doc("the peak, after the warm-up")] = 1e-3
    schedule: Annotated[
        str,
        doc("the rate after the warm-up: constant, inverse-sqrt (noam), cosine, linear or wsd"),
    ] = "inverse-sqrt"
    warmup: Annotated[Count, doc("steps in which the rate rises to its peak")] = 1000
    weight_decay: Annotated[NonNegative, doc("of matrices; none of norms and biases")] = 0.0
    beta1: Annotated[Fraction, doc("decay of AdamW's first moment; of sgd, the momentum")] = 0.9
    beta2: Annotated[Fraction, doc("decay of AdamW's second moment")] = 0.98
    adam_eps: Annotated[Positive, doc("added to the root of AdamW's second moment")] = 1e-9
    clip: Annotated[NonNegative, doc("the largest norm of a gradient; 0: no clipping")] = 1.0
    label_smoothing: Annotated[Fraction, doc("share of the target spread over all tokens")] = 0.0
    ema: Annotated[
        Fraction, doc("decay of the moving average of weights, which is kept; 0: none")
    ] = 0.0
    precision: Annotated[str, doc("of matrix products: auto, float32, tf32 or bfloat16")] = "auto"
    max_skipped: Annotated[
        Size, doc("steps in a row without a finite loss and gradient that end the run")
    ] = 10
    compile: Annotated[bool, doc("compile the model by torch.compile")] = False
    save_every: Annotated[
        int | str,
        doc(
            "time, such as 10m, or steps after which the run is saved between validations; 0: none"
        ),
    ] = "10m"


class ValidationRecipe(_Section, frozen=True, kw_only=True):
    """Validation: how often, by which metric, and when to stop early."""

    every: Annotated[Size, doc("steps between validations")] = 500
    metric: Annotated[str, doc(f"of the best checkpoint: {', '.join(METRIC_NAMES)}")] = "loss"
    patience: Annotated[
        Count, doc("validations without improvement that end the run; 0: never")
    ] = 0
    keep: Annotated[Size, doc("latest checkpoints to keep besides the best")] = 1
    beam: Annotated[Size, doc("beams of the translations that are scored")] = 1
    max_lines: Annotated[
        Size, doc("validation pairs to translate for BLEU and chrF, from all over the text")
    ] = 2000
    tokenize: Annotated[
        str, doc("sacreBLEU's tokenization; auto: by the script of the references")
    ] = "auto"


_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
PRECISION_NAMES = ("auto", "float32", "tf32", "bfloat16")


class Recipe(_Section, frozen=True, kw_only=True):
    """All of a recipe. `model` has a preset's name and any fields of TransformerConfig."""

    objective: Annotated[str, doc(either([*DEFAULTS]))] = "translation"
    seed: Annotated[
        int, Meta(ge=0, lt=1 << 31), doc("of the first weights, the order of the data and dropout")
    ] = 1
    data: DataRecipe = DataRecipe()
    tokenizer: TokenizerRecipe = TokenizerRecipe()
    model: dict[str, Any] = {}
    adapter: AdapterSettings = AdapterSettings()
    training: TrainingRecipe = TrainingRecipe()
    validation: ValidationRecipe = ValidationRecipe()
    masking: MaskingOptions = MaskingOptions()
    spans: SpanOptions = SpanOptions()
    denoising: DenoisingOptions = DenoisingOptions()

    def __post_init__(self) -> None:
        check_bounds(self)
        if not isinstance(self.model.get("preset", ""), str):
            raise ConfigError(f"model.preset is {self.model['preset']!r}; it must be a name")
        if self.training.time:
            parse_duration("training.time", self.training.time)
        parse_save_interval(self.training.save_every)
        _check_name("training.precision", self.training.precision, PRECISION_NAMES)
        _check_name("validation.metric", self.validation.metric, METRIC_NAMES)


def _check_name(key: str, value: str, names: tuple[str, ...]) -> None:
    if value not in names:
        raise UnknownNameError(f"{key} is {value!r}; {suggest(value, names)}")


def read_toml(path: Path) -> dict[str, Any]:
    """Read a recipe file as nested dictionaries. Raises OSError or ConfigError."""
    try:
        return tomllib.loads(read_text(str(path), strict=True))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        if path.suffix != ".toml":
            raise ConfigError(
                f"{path} is no recipe in TOML: to train on it, name it with --text, or with "
                "--pairs if it has pairs"
            ) from None
        raise ConfigError(f"{path} is not TOML: {error}") from None


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested dictionaries into one; later layers win.

    >>> merge({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}})
    {'a': {'b': 3, 'c': 2}}
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            old = merged.get(key)
            nested = isinstance(old, dict) and isinstance(value, Mapping)
            merged[key] = merge(old, value) if nested else value  # type: ignore[arg-type]
    return merged


def has_key(fields: Mapping[str, Any], key: str) -> bool:
    """Return True if nested fields have a dotted key.

    >>> has_key({"training": {"steps": 3}}, "training.steps"), has_key({}, "training.steps")
    (True, False)
    """
    section, _, name = key.partition(".")
    return name in fields.get(section, {})


def parse_setting(setting: str) -> dict[str, Any]:
    """Parse `a.b=c` into a nested dictionary; c is a TOML value, or else a string.

    >>> parse_setting("training.steps=100")
    {'training': {'steps': 100}}
    """
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set takes key=value, such as training.steps=2000; got {setting!r}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    for part in reversed(key.split(".")):
        value = {part: value}
    nested: dict[str, Any] = value
    return nested


def recipe_from_fields(fields: Mapping[str, Any]) -> Recipe:
    """Return the Recipe of nested dictionaries.

    Raises UnknownNameError for a key that does not exist, naming the nearest, and ConfigError for
    a value that does not fit.
    """
    check_keys(fields, Recipe)
    return convert(fields, Recipe, prefix="recipe: ")


def recipe_to_toml(recipe: Recipe) -> str:
    """Return the recipe as TOML that reads back equal.

    It has no steps where epochs or time decide on them, and no section that its objective does not
    read.
    """
    fields: dict[str, Any] = msgspec.to_builtins(recipe)
    for objective, name in NOISE_SECTIONS.items():
        if objective != recipe.objective:
            del fields[name]
    if recipe.training.epochs or recipe.training.time:
        del fields["training"]["steps"]
    top = [f"{key} = {_toml(v)}" for key, v in fields.items() if not isinstance(v, dict)]
    for section, values in fields.items():
        if isinstance(values, dict):  # TOML has no null: what is None is left out
            known = ((key, v) for key, v in values.items() if v is not None)
            top += ["", f"[{section}]", *(f"{key} = {_toml(v)}" for key, v in known)]
    return "\n".join(top) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        pairs = ((k if _BARE_KEY.fullmatch(k) else _toml(k), _toml(v)) for k, v in value.items())
        return "{" + ", ".join(f"{key} = {v}" for key, v in pairs) + "}"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_toml, value))}]"
    # JSON's strings, numbers and booleans are TOML's too; U+007F must be escaped there
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
