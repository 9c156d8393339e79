"""Keys of recipes: each is described, names are listed, and a mistaken one finds the right one."""

import re

import msgspec
import pytest

from tokenizer.training import NORMALIZATIONS, TOKENIZERS
from transformer.attention import ATTENTION
from transformer.bounds import descriptions
from transformer.config import TransformerConfig
from transformer.data.noise import NOISES
from transformer.errors import UnknownNameError
from transformer.feedforward import FEEDFORWARDS
from transformer.heads import CLASSIFIER_LAYERS, HEADS, LABEL_KINDS
from transformer.initialization import INITIALIZATIONS
from transformer.norms import NORMS, RESIDUALS
from transformer.pooling import POOLINGS
from transformer.positions import POSITIONS
from transformer.training.defaults import DEFAULTS
from transformer.training.objectives import OBJECTIVES
from transformer.training.optimizers import OPTIMIZERS
from transformer.training.recipe import PRECISION_NAMES, Recipe, parse_setting, recipe_from_fields
from transformer.training.recipe_keys import likely_keys, recipe_keys
from transformer.training.schedules import SCHEDULES

KEYS = {key.name: key for key in recipe_keys(Recipe)}
NAMES = {
    "objective": OBJECTIVES,
    "tokenizer.kind": TOKENIZERS,
    "tokenizer.normalization": NORMALIZATIONS,
    "training.optimizer": OPTIMIZERS,
    "training.schedule": SCHEDULES,
    "training.precision": PRECISION_NAMES,
    "validation.metric": {name for each in OBJECTIVES.values() for name in each.metrics},
    "denoising.noises": NOISES,
    "model.shape": ("encoder", "decoder", "encoder-decoder"),
    "model.positions": POSITIONS,
    "model.attention": ATTENTION,
    "model.feedforward": FEEDFORWARDS,
    "model.norm": NORMS,
    "model.norm_placement": RESIDUALS,
    "model.head": HEADS,
    "model.label_kind": LABEL_KINDS,
    "model.classifier_pooling": POOLINGS,
    "model.classifier_layer": CLASSIFIER_LAYERS,
    "model.initialization": INITIALIZATIONS,
}


@pytest.mark.parametrize("key", KEYS.values(), ids=lambda key: key.name)
def test_every_key_is_described_in_few_words(key):
    """For a new key: `name: Annotated[kind, says("…")]` in recipe.py or config.py."""
    assert key.description, f"{key.name} has no description"
    assert len(key.description) <= 120
    assert not key.description.endswith("."), "it is a comment beside the key, no sentence"


def test_keys_are_all_fields():
    fields = {f"model.{field.name}" for field in msgspec.structs.fields(TransformerConfig)}
    for field in msgspec.structs.fields(Recipe):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            fields |= {f"{field.name}.{inner}" for inner in field.type.__struct_fields__}
        elif field.name != "model":
            fields.add(field.name)
    assert {*KEYS} == fields | {"model.preset"}


@pytest.mark.parametrize("key", NAMES)
def test_the_names_that_a_key_takes_are_listed(key):
    words = set(re.findall(r"[\w-]+", KEYS[key].description))
    assert sorted({*NAMES[key]} - words) == []


def test_defaults_are_the_recipes():
    recipe = msgspec.to_builtins(Recipe())
    for key in KEYS.values():
        if not key.name.startswith("model."):
            value = recipe
            for part in key.name.split("."):
                value = value[part]
            assert key.default == value


def test_each_objective_has_its_defaults():
    assert {name: each.defaults for name, each in OBJECTIVES.items()} == DEFAULTS


@pytest.mark.parametrize(
    ("setting", "meant"),
    [
        ("learning_rate=1", "training.learning_rate"),
        ("model.learning_rate=1", "training.learning_rate"),
        ("training.dropout=0", "model.dropout or adapter.dropout"),
        ("dropuot=0", "model.dropout or adapter.dropout"),
        ("model.dropuot=0", "model.dropout"),
        ("trainig.steps=1", "training"),
        ("optim.learning_rate=1", "training.learning_rate"),
        ("vocab_size=1", "tokenizer.vocab_size or model.vocab_size"),
        ("training.step=1", "training.steps"),
        ("validation.evry=1", "validation.every"),
        ("sede=1", "seed"),
    ],
)
def test_a_mistaken_key_finds_the_right_one_in_any_section(setting, meant):
    with pytest.raises(UnknownNameError, match=re.escape(f"did you mean {meant}? ")):
        recipe_from_fields(parse_setting(setting))


@pytest.mark.parametrize("setting", ["colour=1", "training.verbosity=1", "x.y.z=1", "model.gpu=1"])
def test_what_is_like_no_key_gets_no_suggestion(setting):
    with pytest.raises(UnknownNameError, match=r"unknown recipe key \S+; \(transduce train --keys"):
        recipe_from_fields(parse_setting(setting))


def test_a_model_is_described_too():
    assert {*descriptions(TransformerConfig)} == {*TransformerConfig.__struct_fields__}
    assert likely_keys("d_modl", KEYS) == ["model.d_model"]
