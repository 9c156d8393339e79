"""Recipes: layers, strictness, and a TOML that reads back."""

import re
import tomllib
from pathlib import Path

import pytest

from transformer.errors import ConfigError, UnknownNameError
from transformer.training.network_config import model_config
from transformer.training.objectives import OBJECTIVES
from transformer.training.packaged_recipes import recipe_names
from transformer.training.planning.planner import plan_recipe
from transformer.training.recipe import merge, parse_setting, recipe_from_fields, recipe_to_toml
from transformer.training.recipe_resolution import resolve_recipe
from transformer.training.run_recipe import RECIPE


@pytest.mark.parametrize(
    ("setting", "wanted"),
    [
        ("seed=3", {"seed": 3}),
        ("training.learning_rate=1e-3", {"training": {"learning_rate": 0.001}}),
        ("tokenizer.kind=char", {"tokenizer": {"kind": "char"}}),
        ("training.compile=true", {"training": {"compile": True}}),
        ('data.source=["a", "b"]', {"data": {"source": ["a", "b"]}}),
        ("data.source=x=y", {"data": {"source": "x=y"}}),
    ],
)
def test_a_setting_is_a_toml_value_or_else_a_string(setting: str, wanted: dict) -> None:
    assert parse_setting(setting) == wanted


@pytest.mark.parametrize("setting", ["training.steps", "=3"])
def test_a_setting_without_a_key_or_a_value_is_refused(setting: str) -> None:
    with pytest.raises(ConfigError, match="key=value"):
        parse_setting(setting)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"training": {"step": 3}},
            "unknown recipe key training.step; did you mean training.steps",
        ),
        ({"trainig": {}}, "unknown recipe key trainig; did you mean training"),
        ({"training": 3}, "training is a section"),
        ({"training": {"steps": "many"}}, "training.steps is 'many'; it must be a whole number"),
        ({"training": {"steps": 0}}, "training.steps is 0"),
        ({"training": {"label_smoothing": 1.5}}, "label_smoothing is 1.5"),
        ({"training": {"precision": "int8"}}, "precision is 'int8'.*allowed: auto, bfloat16"),
        ({"validation": {"metric": "ble"}}, "did you mean bleu"),
        ({"objective": "translaton"}, "did you mean translation"),
    ],
)
def test_mistakes_are_named(fields: dict, words: str) -> None:
    with pytest.raises((ConfigError, UnknownNameError), match=words):
        resolve_recipe(None, fields, [])


def test_flags_win_over_settings_over_the_file_over_the_resumed_run_over_defaults(
    tmp_path: Path,
) -> None:
    (tmp_path / RECIPE).write_text("seed = 2\n[training]\nsteps = 2\nwarmup = 2\nclip = 2\n")
    file = tmp_path / "mine.toml"
    file.write_text("[training]\nsteps = 3\nwarmup = 3\nema = 0.3\n")
    recipe = resolve_recipe(
        file,
        {"training": {"steps": 5}},
        ["training.steps=4", "training.warmup=4"],
        resumed=tmp_path,
    )
    training = recipe.training
    assert (training.steps, training.warmup, training.ema, training.clip) == (5, 4, 0.3, 2)
    assert recipe.seed == 2
    assert training.label_smoothing == 0.1  # the objective's default


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objectives_recipe_reads_back_equal_from_toml(objective: str) -> None:
    layers = ["sliding", {"positions": "none", "rotary_scaling": {"factor": 3.0}}]
    model = {"rotary_scaling": {"kind": "linear", "factor": 2.0}, "layers": layers}
    changes = {"model": model, "seed": 9}
    odd = {"data": {OBJECTIVES[objective].texts[0]: ['quote " and \\ and é']}}
    recipe = resolve_recipe(None, merge({"objective": objective}, changes, odd), [])
    assert recipe_from_fields(tomllib.loads(recipe_to_toml(recipe))) == recipe


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_of_the_project_describes_a_model(name: str) -> None:
    recipe = resolve_recipe(Path(name), {}, [])
    assert model_config(recipe, 1000).vocab_size == 1000


def test_a_file_wins_over_a_recipe_that_comes_along(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve_recipe(Path("dates"), {}, []).training.steps != 3
    Path("dates").write_text("[training]\nsteps = 3\n")
    assert resolve_recipe(Path("dates"), {}, []).training.steps == 3


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("date", ConfigError, "no file date, and no recipe.*did you mean dates"),
        ("book", ConfigError, r"no file book, and no recipe[^?]*allowed: .*dates"),
        ("runs/dates", OSError, "runs/dates"),
        ("other.toml", OSError, "other.toml"),
    ],
)
def test_a_name_that_is_no_recipe_is_refused(name: str, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        resolve_recipe(Path(name), {}, [])


def test_a_vocabulary_smaller_than_the_tokenizers_is_refused() -> None:
    recipe = resolve_recipe(None, {"model": {"vocab_size": 10}}, [])
    with pytest.raises(ConfigError, match="vocab_size is 10, but the tokenizer has 20"):
        model_config(recipe, 20)


def test_an_objectives_fields_win_over_a_presets_and_the_recipes_over_them(monkeypatch) -> None:
    objective = OBJECTIVES["language-model"]
    monkeypatch.setattr(
        objective, "head_fields", lambda _shape, _labels: {"heads": 2, "dropout": 0.3}
    )
    fields = {"model": {"preset": "write-tiny", "dropout": 0.25}}
    recipe = resolve_recipe(None, {"objective": "language-model", **fields}, [])
    config = model_config(recipe, 20)
    assert (config.heads, config.dropout) == (2, 0.25)


def test_a_preset_of_another_shape_is_refused() -> None:
    recipe = resolve_recipe(None, {"model": {"preset": "gpt2"}}, [])
    with pytest.raises(ConfigError, match="trains encoder-decoder models"):
        model_config(recipe, 60_000)


@pytest.mark.parametrize(("flags", "settings", "words"), [
    ({"training": {"epochs": 0.0}}, [], "training.epochs is 0; it must be above 0"),
    ({"training": {"epochs": -1.0}}, [], "training.epochs is -1; it must be above 0"),
    ({}, ["training.epochs=0"], "training.epochs is 0; it must be above 0"),
    ({"training": {"time": ""}}, [], "training.time is ''; it must be a duration"),
    ({}, ["training.time="], "training.time is ''; it must be a duration"),
])  # fmt: skip
def test_a_length_that_is_given_is_one(flags: dict, settings: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        plan_recipe(None, {"data": {"pairs": ["pairs.tsv"]}, **flags}, settings)


def test_a_file_may_say_that_its_length_is_told_otherwise(tmp_path: Path) -> None:
    (file := tmp_path / "r.toml").write_text("[training]\nsteps = 3\nepochs = 0\ntime = ''\n")
    assert resolve_recipe(file, {}, []).training.steps == 3
