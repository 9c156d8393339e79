"""The objective that follows from the texts, and a translator without sacreBLEU."""

from pathlib import Path

import pytest

from tests.training.toys import toy_recipe, train, write_pairs, write_text
from transformer.errors import ConfigError, MissingExtraError
from transformer.training.events import Notice, Validated
from transformer.training.network_config import model_config
from transformer.training.objectives import OBJECTIVES
from transformer.training.recipe import recipe_to_toml
from transformer.training.recipe_checks import check_recipe
from transformer.training.recipe_resolution import resolve_recipe

WITHOUT = ("objectives.choice", "objectives.translation", "validation")


@pytest.fixture
def without_sacrebleu(monkeypatch) -> None:
    for module in WITHOUT:
        name = f"transformer.training.{module}.can_score_translations"
        monkeypatch.setattr(name, lambda: False)


@pytest.mark.parametrize(
    ("keys", "objective", "preset"),
    [
        (["text"], "language-model", "write-small"),
        (["valid_text"], "language-model", "write-small"),
        (["pairs"], "translation", "translate-small"),
        (["source", "target"], "translation", "translate-small"),
        ([], "translation", "translate-small"),
    ],
)
def test_the_texts_say_the_objective(keys: list[str], objective: str, preset: str) -> None:
    recipe = resolve_recipe(None, {"data": {key: ["a"] for key in keys}}, [])
    assert (recipe.objective, recipe.model["preset"]) == (objective, preset)


def test_it_stands_in_the_recipe_and_layers_of_any_kind_say_it(tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text('[data]\ntext = ["a"]\n')
    assert resolve_recipe(file, {}, []).objective == "language-model"
    assert resolve_recipe(None, {}, ['data.text=["a"]']).objective == "language-model"


@pytest.mark.parametrize("objective", [{}, {"objective": "translation"}])
def test_texts_of_two_kinds_are_refused(objective: dict[str, str]) -> None:
    """Of which one was ignored without a word."""
    data = {"pairs": ["a"], "valid_text": ["b"]}
    with pytest.raises(
        ConfigError, match="--pairs is for translation and --valid-text is for lang"
    ):
        resolve_recipe(None, {**objective, "data": data}, [])


def test_a_text_that_the_objective_does_not_read_is_refused() -> None:
    fields = {"objective": "translation", "data": {"text": ["a"]}}
    with pytest.raises(ConfigError, match="translation reads no --text, which is for language-mod"):
        resolve_recipe(None, fields, [])


def test_without_any_text_both_kinds_are_named() -> None:
    with pytest.raises(ConfigError, match=r"give --source FILE .* --pairs FILE .* --text FILE"):
        check_recipe(resolve_recipe(None, {}, []))


@pytest.mark.usefixtures("without_sacrebleu")
@pytest.mark.integration
def test_without_sacrebleu_a_translator_validates_by_its_loss_and_says_so_once(tmp_path) -> None:
    recipe = toy_recipe(tmp_path, steps=4)
    assert recipe.validation.metric == "loss"
    events = train(recipe, tmp_path / "run")
    told = [each.text for each in events if isinstance(each, Notice) and "sacrebleu" in each.text]
    assert len(told) == 1
    assert told[0].endswith("by the loss alone; for BLEU and chrF: pip install 'transduce[eval]'")
    assert [each.decided_by for each in events if isinstance(each, Validated)] == ["loss"]
    longer = resolve_recipe(None, {}, ["training.steps=5"], resumed=tmp_path / "run")
    events = train(longer, tmp_path / "run", resume=True)
    assert not [each for each in events if isinstance(each, Notice) and "sacreb" in each.text]


@pytest.mark.usefixtures("without_sacrebleu")
def test_a_metric_that_is_named_is_not_replaced(tmp_path: Path) -> None:
    data = {**write_pairs(tmp_path), "valid_fraction": 0.1}
    recipe = resolve_recipe(None, {"data": data}, ["validation.metric=chrf"])
    with pytest.raises(MissingExtraError, match=r"pip install .*\[eval\].*validation.metric=loss"):
        check_recipe(recipe)


@pytest.mark.usefixtures("without_sacrebleu")
def test_where_nothing_is_decoded_it_is_not_asked_for(tmp_path: Path) -> None:
    recipe = resolve_recipe(None, {"data": write_pairs(tmp_path)}, ["validation.metric=bleu"])
    check_recipe(recipe)
    text = {**write_text(tmp_path), "valid_fraction": 0.1}
    check_recipe(resolve_recipe(None, {"data": text}, []))


@pytest.mark.parametrize(
    ("fields", "objective", "preset"),
    [
        ({"objective": "masked-lm"}, "masked-lm", "bert-tiny"),
        ({"model": {"preset": "bert-base"}}, "masked-lm", "bert-base"),
        ({"model": {"preset": "gpt2"}}, "language-model", "gpt2"),
        ({"model": {"preset": "t5-tiny"}}, "span-corruption", "t5-tiny"),
        ({"model": {"preset": "bart-tiny"}}, "denoising", "bart-tiny"),
        ({"model": {"preset": "translate-tiny"}}, "span-corruption", "translate-tiny"),
        ({"objective": "prefix-lm"}, "prefix-lm", "t5-tiny"),
    ],
)
def test_running_text_is_for_what_is_named_or_what_a_preset_is_for(
    fields: dict, objective: str, preset: str
) -> None:
    recipe = resolve_recipe(None, {"data": {"text": ["a"]}, **fields}, [])
    assert (recipe.objective, recipe.model["preset"]) == (objective, preset)
    assert model_config(recipe, 60_000).shape in OBJECTIVES[objective].shapes


def test_noise_that_another_objective_makes_is_refused() -> None:
    fields = {"data": {"text": ["a"]}, "masking": {"probability": 0.3}}
    with pytest.raises(ConfigError, match="masking is for the objective masked-lm, and this one"):
        resolve_recipe(None, fields, [])
    recipe = resolve_recipe(None, {**fields, "objective": "masked-lm"}, [])
    assert recipe.masking.probability == 0.3
    assert "[masking]\nprobability = 0.3\n" in recipe_to_toml(recipe)
    assert "masking" not in recipe_to_toml(resolve_recipe(None, {"data": {"text": ["a"]}}, []))
