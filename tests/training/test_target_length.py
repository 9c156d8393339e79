"""Targets with a limit of their own: long sources and short targets, as summaries have them."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from cli.render.data_report import data_lines
from tests.loading.owned import own
from tests.models import tiny_config
from tests.pipelines.test_models import tiny_translator
from tests.training.preparing import prepare, recipe_of, report, write
from tests.training.test_run import changed
from tests.training.toys import toy_recipe, train
from tokenizer import CorpusError
from transformer.errors import ConfigError
from transformer.training.data_recipe import data_settings
from transformer.training.events import RunFinished
from transformer.training.network_config import model_config
from transformer.training.planning.readable_length import readable_length
from transformer.training.recipe import Recipe, recipe_from_fields
from transformer.training.recipe_checks import check_recipe

SIDES = {"source": ["a"], "target": ["b"]}
LONG = tiny_config(
    "encoder-decoder", positions="learned", max_positions=60, max_target_positions=12
)
PLAIN = tiny_config("encoder-decoder", max_positions=60)
# "</s>" stands behind each side.
PAIRS = [("a" * 9, "b" * 3), ("a" * 9, "b" * 4), ("a" * 10, "b"), ("a", "b")]


def limits_told(tmp_path: Path, **data: Any) -> str:
    events = prepare(recipe_of(tmp_path, PAIRS, **data), tmp_path / "run")
    return data_lines(report(events))[0]


def test_each_side_has_its_limit_and_what_is_left_out_is_told_by_side(tmp_path: Path) -> None:
    told = limits_told(tmp_path, max_tokens=10, max_target_tokens=4)
    assert "2 pairs of" in told
    assert "1 with a target of 4 or more, 1 of 10 tokens or more" in told


@pytest.mark.parametrize("data", [{}, {"max_target_tokens": 10}])
def test_one_limit_of_both_is_told_as_one(tmp_path: Path, data: dict) -> None:
    told = limits_told(tmp_path, max_tokens=10, **data)
    assert told.endswith("; left out: 1 of 10 tokens or more")


def test_a_target_may_be_longer_than_a_source(tmp_path: Path) -> None:
    assert "3 pairs of" in limits_told(tmp_path, max_tokens=10, max_target_tokens=40)


def pairs_recipe(**data: object) -> Recipe:
    return recipe_from_fields({**given(**data), "model": {"preset": "translate-tiny"}})


def given(**data: object) -> dict[str, Any]:
    return {"objective": "translation", "data": {**SIDES, **data}}


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        ({}, {"max_tokens": 60, "max_target_tokens": 12}),
        ({"max_tokens": 50}, {"max_target_tokens": 12}),
        ({"max_tokens": 12}, {}),
        ({"max_target_tokens": 9}, {"max_tokens": 60}),
    ],
)
def test_an_initial_model_reads_as_much_of_each_side_as_it_can(data, fields) -> None:
    assert readable_length(given(**data), LONG).get("data", {}) == fields


def test_where_both_sides_have_as_many_positions_one_limit_serves() -> None:
    assert readable_length(given(), PLAIN) == {"data": {"max_tokens": 60}}
    drawn = {"objective": "denoising", "data": {"text": ["a"]}}
    (limit,) = readable_length(drawn, LONG).values()
    assert [*limit.values()] == [12]  # text that is read is written too


def test_a_new_model_has_positions_for_the_longer_side() -> None:
    recipe = pairs_recipe(max_tokens=20, max_target_tokens=30)
    assert model_config(recipe, 100).max_positions == 30
    limited = changed(recipe, model={"max_target_positions": 25})
    line = r"model\.max_target_positions is 25, but the recipe trains on targets of up to 30 "
    with pytest.raises(ConfigError, match=line + r"tokens; raise it, or lower data\.max_target"):
        model_config(limited, 100)


def test_targets_beyond_an_initial_models_positions_are_refused() -> None:
    recipe = pairs_recipe(max_tokens=50)
    words = r"12 target positions; the recipe trains on targets of up to 50 tokens: lower data"
    with pytest.raises(ConfigError, match=words + r"\.max_target_tokens"):
        check_recipe(changed(recipe, model={"preset": ""}), LONG)


@pytest.mark.parametrize("objective", ["language-model", "denoising"])
def test_objectives_without_targets_of_their_own_refuse_the_limit(tmp_path, objective) -> None:
    recipe = changed(toy_recipe(tmp_path, objective), data={"max_target_tokens": 9})
    with pytest.raises(ConfigError, match=r"max_target_tokens is for the objective translation, "):
        check_recipe(recipe)


def test_a_model_that_reads_long_sources_is_trained_on_them(tmp_path: Path) -> None:
    tokenizer = tiny_translator().tokenizer
    own(
        tmp_path / "model",
        msgspec.structs.replace(LONG, vocab_size=tokenizer.vocab_size),
        tokenizer,
    )
    pairs = {"source": ["one two three " * 5] * 9, "target": ["two"] * 8 + ["one two three " * 5]}
    data = {side: write(tmp_path / side, lines) for side, lines in pairs.items()}
    assert 12 < len(tokenizer.encode(pairs["source"][0])) < 60
    recipe = changed(
        toy_recipe(tmp_path, steps=2),
        data={**data, "max_tokens": 60, "max_target_tokens": 12, "valid_fraction": 0.0},

    )  # fmt: skip
    recipe = msgspec.structs.replace(recipe, model={"preset": ""})
    events = train(recipe, tmp_path / "run", init=tmp_path / "model")
    assert "8 pairs of" in data_lines(report(events))[0]
    assert isinstance(events[-1], RunFinished)


def test_ids_of_before_this_limit_are_those_of_today() -> None:
    assert "max_target_tokens" not in data_settings(pairs_recipe().data)
    assert data_settings(pairs_recipe(max_target_tokens=9).data)["max_target_tokens"] == 9


def test_text_that_is_left_out_altogether_is_not_called_empty(tmp_path: Path) -> None:
    recipe = changed(toy_recipe(tmp_path, steps=1), data={"max_target_tokens": 1})
    with pytest.raises(CorpusError, match="nothing is left to train on: all is blank or left out"):
        train(recipe, tmp_path / "run")
