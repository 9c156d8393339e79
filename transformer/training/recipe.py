"""A training recipe: all settings of a run, as TOML. Imports no torch."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

import msgspec
from msgspec import Meta

from tokenizer import read_text

from ..bounds import check_bounds, convert
from ..errors import ConfigError, UnknownNameError
from ..registry import suggest

Size = Annotated[int, Meta(ge=1)]
Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]
NonNegative = Annotated[float, Meta(ge=0)]
Fraction = Annotated[float, Meta(ge=0, lt=1)]
Share = Annotated[float, Meta(ge=0, le=1)]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A section of a recipe: immutable, keyword-only, and strict about its keys."""


class DataRecipe(_Section, frozen=True, kw_only=True):
    """The files to train and validate on.

    `columns` names the columns of TSV or JSONL files: one for text, two for pairs.
    """

    source: list[str] = []
    target: list[str] = []
    pairs: list[str] = []  # files with source and target as columns
    text: list[str] = []
    valid_source: list[str] = []
    valid_target: list[str] = []
    valid_pairs: list[str] = []
    valid_text: list[str] = []
    columns: list[str] = []
    document_separators: list[str] = []  # in running text, such as <|endoftext|>
    valid_fraction: Fraction = 0.0  # without validation files: drawn pairs, or the end of a text
    max_tokens: Size = 256  # longer pairs are left out, and counted
    max_unknown: Share = 0.5  # of a side's characters that the tokenizer may not know


def text_paths(data: DataRecipe) -> dict[str, list[str]]:
    """Return the files that a recipe reads, by its keys."""
    return {key: getattr(data, key) for key in _TEXT_KEYS}


def has_validation(data: DataRecipe) -> bool:
    """Return True if a recipe names text to validate on, or a share of the training text."""
    return any(getattr(data, key) for key in data.__struct_fields__ if key.startswith("valid_"))


def data_settings(data: DataRecipe) -> dict[str, Any]:
    """Return the keys that decide how the files become ids."""
    without = {*_TEXT_KEYS, "max_unknown"}
    return {key: value for key, value in msgspec.to_builtins(data).items() if key not in without}


_TEXT_KEYS = (
    *("source", "target", "pairs", "text"),
    *("valid_source", "valid_target", "valid_pairs", "valid_text"),
)


class TokenizerRecipe(_Section, frozen=True, kw_only=True):
    """The tokenizer: an existing one, or how to train one on the training text."""

    path: str = ""
    kind: str = "bpe"
    vocab_size: Size = 8000
    normalization: str = "nfc"
    lowercase: bool = False
    min_frequency: int = 2
    byte_fallback: bool | None = None  # of bpe; None: for 2,000 tokens and more
    special: list[str] = []


class TrainingRecipe(_Section, frozen=True, kw_only=True):
    """Hyperparameters of training."""

    steps: Size = 10_000
    batch_tokens: Size = 4096  # per micro-batch: rows × the longest side, padding included
    accumulate: Size = 1  # micro-batches per step
    context: Size = 256  # of language models, in tokens
    optimizer: str = "adamw"
    learning_rate: Positive = 1e-3  # the peak
    schedule: str = "inverse-sqrt"
    warmup: Count = 1000
    weight_decay: NonNegative = 0.0
    beta1: Fraction = 0.9
    beta2: Fraction = 0.98
    adam_eps: Positive = 1e-9
    clip: NonNegative = 1.0  # the largest gradient norm; 0: no clipping
    label_smoothing: Fraction = 0.0
    ema: Fraction = 0.0  # decay of the exponential moving average of weights; 0: none
    precision: str = "auto"  # of matrix products; see PRECISION_NAMES
    max_skipped: Size = 10  # steps in a row without a finite loss and gradient that end the run
    compile: bool = False


class ValidationRecipe(_Section, frozen=True, kw_only=True):
    """Validation: how often, by which metric, and when to stop early."""

    every: Size = 500  # steps
    metric: str = "loss"  # decides which checkpoint is the best: loss, bleu, chrf (SelectionKey)
    patience: Count = 0  # validations without improvement that end the run; 0: no early stopping
    keep: Size = 1  # most recent checkpoints to keep besides the best
    beam: Size = 1
    max_lines: Size = 2000  # validation lines to translate for BLEU and chrF
    tokenize: str = "auto"  # sacreBLEU's tokenization; auto: by the script of the references


PRECISION_NAMES = ("auto", "float32", "tf32", "bfloat16")


class Recipe(_Section, frozen=True, kw_only=True):
    """All of a recipe. `model` has a preset's name and any fields of TransformerConfig."""

    objective: str = "translation"
    seed: Annotated[int, Meta(ge=0, lt=1 << 31)] = 1
    data: DataRecipe = DataRecipe()
    tokenizer: TokenizerRecipe = TokenizerRecipe()
    model: dict[str, Any] = {}
    training: TrainingRecipe = TrainingRecipe()
    validation: ValidationRecipe = ValidationRecipe()

    def __post_init__(self) -> None:
        check_bounds(self)
        if not isinstance(self.model.get("preset", ""), str):
            raise ConfigError(f"model.preset is {self.model['preset']!r}; it must be a name")
        _check_name("training.precision", self.training.precision, PRECISION_NAMES)
        _check_name("validation.metric", self.validation.metric, ("loss", "bleu", "chrf"))


def _check_name(key: str, value: str, names: tuple[str, ...]) -> None:
    if value not in names:
        raise UnknownNameError(f"{key} is {value!r}; {suggest(value, names)}")


def read_toml(path: Path) -> dict[str, Any]:
    """Read a recipe file as nested dictionaries. Raises OSError or ConfigError."""
    try:
        return tomllib.loads(read_text(str(path), strict=True))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
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
    _check_keys(fields, Recipe, "")
    return convert(fields, Recipe, prefix="recipe: ")


def _check_keys(fields: Mapping[str, Any], kind: type[msgspec.Struct], prefix: str) -> None:
    known = {field.name: field.type for field in msgspec.structs.fields(kind)}
    for key, value in fields.items():
        if key not in known:
            names = [prefix + name for name in known]
            raise UnknownNameError(
                f"unknown recipe key {prefix + key}; {suggest(prefix + key, names)}"
            )
        section = known[key]
        if not get_args(section) and issubclass(section, _Section):
            if not isinstance(value, Mapping):
                raise ConfigError(f"recipe: {key} is a section, not a value; set {key}.… instead")
            _check_keys(value, section, f"{key}.")


def recipe_to_toml(recipe: Recipe) -> str:
    """Return the recipe as TOML that reads back equal."""
    fields: dict[str, Any] = msgspec.to_builtins(recipe)
    top = [f"{key} = {_toml(v)}" for key, v in fields.items() if not isinstance(v, dict)]
    for section, values in fields.items():
        if isinstance(values, dict):  # TOML has no null: what is None is left out
            known = ((key, v) for key, v in values.items() if v is not None)
            top += ["", f"[{section}]", *(f"{key} = {_toml(v)}" for key, v in known)]
    return "\n".join(top) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(v)}" for key, v in value.items()) + "}"
    # JSON's strings, numbers, booleans and lists are TOML's too; U+007F must be escaped there
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
