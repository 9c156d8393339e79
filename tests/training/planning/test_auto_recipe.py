"""Choices by facts about a text: sensible on little and on much, and never over a given one."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from tests.training.toys import write_pairs, write_text
from tokenizer import TrainingOptions, train_tokenizer
from transformer.data.batches import cut_batches
from transformer.durations import parse_duration
from transformer.presets import preset_config
from transformer.training.network_config import model_config
from transformer.training.objectives import OBJECTIVES
from transformer.training.planning import auto_recipe
from transformer.training.planning.describing import choice_lines
from transformer.training.planning.facts import TextFacts, measure_text
from transformer.training.planning.planner import Planner
from transformer.training.planning.speed import StepTime
from transformer.training.recipe import Recipe
from transformer.training.recipe_resolution import recipe_of

CPU = torch.device("cpu")
SECONDS = 1e-7  # of a step, for each weight of the layers: 0.07 s with translate-tiny


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of known speed, twice as fast in bfloat16, with much memory."""

    def step(config: Any, recipe: Recipe, data: object, **options: object) -> StepTime:
        del data, options
        seconds = SECONDS * auto_recipe.layer_weights(config)
        half = recipe.training.precision == "bfloat16"
        return StepTime(*[seconds / 2 if half else seconds] * 2)

    monkeypatch.setattr(auto_recipe, "measure_step", step)
    monkeypatch.setattr(auto_recipe, "available_memory", lambda device: 1 << 40)


def text_of(pairs: int, length: int = 40, *, alphabet: int = 80, unspaced: float = 0) -> TextFacts:
    """Pairs of two sides of `length` characters each."""
    characters = 2 * pairs * length
    return TextFacts(2 * pairs, characters, alphabet, unspaced)


def choose(facts: TextFacts, given: Mapping[str, Any] | None = None, time: float | None = 1200):
    """Return the recipe and its lines."""
    auto = auto_recipe.AutoRecipe(given or {}, facts, CPU, time)
    return auto.complete(), auto


LANGUAGE_MODEL = {"objective": "language-model"}


@pytest.mark.parametrize(
    ("facts", "given", "preset", "sizes"),
    [
        (text_of(300), {}, "translate-tiny", (300, 600)),
        (text_of(47_000, 21), {}, "translate-tiny", (3_000, 5_000)),
        (text_of(2_000_000, 100), {}, "translate-tiny", (16_000, 16_000)),
        (text_of(50_000, 20, alphabet=3_000, unspaced=0.5), {}, "translate-tiny", (6_500, 8_000)),
        (TextFacts(9_000, 500_000, 63, 0), LANGUAGE_MODEL, "write-tiny", (900, 1_200)),
        (TextFacts(10**5, 2 * 10**7, 99, 0), LANGUAGE_MODEL, "write-tiny", (6e3, 8e3)),
        (TextFacts(50, 3_000, 40, 0), LANGUAGE_MODEL, "write-tiny", (400, 400)),
    ],
)
def test_sizes_suit_the_text(
    facts: TextFacts, given: dict, preset: str, sizes: tuple[int, int]
) -> None:
    recipe, _ = choose(facts, given)
    assert recipe.model["preset"] == preset
    assert sizes[0] <= recipe.tokenizer.vocab_size <= sizes[1]
    assert model_config(recipe, recipe.tokenizer.vocab_size)


def test_more_time_chooses_a_larger_model_and_little_text_never_does() -> None:
    presets = [
        [choose(text_of(pairs), time=time)[0].model["preset"] for time in (60, 1200, 48 * 3600)]
        for pairs in (300, 400_000)
    ]
    assert presets[0] == ["translate-tiny"] * 3
    assert presets[1] == ["translate-tiny", "translate-tiny", "translate-small"]


def test_the_less_text_for_each_weight_the_more_dropout() -> None:
    rates = [choose(text_of(pairs))[0].model["dropout"] for pairs in (300, 6_000, 2_000_000)]
    assert rates == [0.3, 0.2, 0.1]


@pytest.mark.parametrize(
    ("pairs", "share"), [(300, 0.1), (5_000, 0.05), (50_000, 0.02), (2_000_000, 0.0005)]
)
def test_about_a_thousand_pairs_validate(pairs: int, share: float) -> None:
    assert choose(text_of(pairs))[0].data.valid_fraction == share


def test_bfloat16_is_chosen_where_it_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose(text_of(5_000))[0].training.precision == "bfloat16"
    monkeypatch.setattr(auto_recipe, "measure_step", lambda *args, **options: StepTime(0.1, 0.1))
    assert choose(text_of(5_000))[0].training.precision == "auto"


GIVEN: dict[str, Any] = {
    "data": {"valid_fraction": 0.3},
    "tokenizer": {"vocab_size": 777},
    "model": {"preset": "translate-small", "dropout": 0.45},
    "training": {
        "batch_tokens": 999, "learning_rate": 0.5, "warmup": 7, "steps": 70, "schedule": "linear",
        "ema": 0.5, "precision": "float32",
    },
    "validation": {"every": 9, "patience": 3, "max_lines": 4},
}  # fmt: skip


@pytest.mark.parametrize("section", GIVEN)
def test_what_is_given_is_never_chosen(section: str) -> None:
    recipe, _ = choose(text_of(5_000), {section: GIVEN[section]})
    whole = msgspec.to_builtins(recipe)[section]
    had = {key: whole[key] for key in GIVEN[section]}
    assert had == GIVEN[section]


def test_with_all_of_it_given_nothing_is_chosen() -> None:
    assert choose(text_of(5_000), GIVEN)[0] == recipe_of(GIVEN)


def test_a_tokenizer_of_characters_has_as_many_tokens_as_the_text() -> None:
    recipe, auto = choose(text_of(5_000), {"tokenizer": {"kind": "char"}})
    assert auto.config(recipe).vocab_size == 80 + 4


def test_steps_or_epochs_leave_no_time_to_choose() -> None:
    for given in ({"steps": 9}, {"epochs": 2.0}):
        training = choose(text_of(5_000), {"training": given}, None)[0].training
        assert (training.time, training.epochs) == ("", given.get("epochs", 0))
    training = choose(text_of(5_000))[0].training
    assert (training.time, training.epochs) == ("20m", 40)


def test_facts_of_a_text() -> None:
    facts = measure_text(["Hallo Welt", "日本語 日本"])
    assert facts == TextFacts(2, 16, 4, 5 / 16)
    assert measure_text([]).unspaced == 0


def test_facts_are_of_the_whole_text_however_it_is_sorted() -> None:
    """Of English first and Japanese after it, and of sides that alternate."""
    japanese = [chr(0x4E00 + n % 901) * 40 for n in range(50_000)]
    facts = measure_text(["ten letters" * 4] * 40_000 + japanese)
    assert facts.alphabet > 900
    assert 0.45 < facts.unspaced < 0.6
    sides = measure_text(
        line for pair in zip(japanese, ["x" * 40] * 50_000, strict=True) for line in pair
    )
    assert 0.45 < sides.unspaced < 0.55


def test_a_tokenizer_that_is_given_has_its_own_size(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    options = TrainingOptions(kind="char", vocab_size=99)
    train_tokenizer(["abcdefghij"] * 9, options).save(path)
    recipe, auto = choose(text_of(5_000), {"tokenizer": {"path": str(path)}})
    assert auto.config(recipe).vocab_size == 14
    assert choice_lines(recipe, auto)[0].startswith(f"tokenizer: {path} of 14 tokens, for ")


@pytest.mark.parametrize(
    ("preset", "rate"), [("translate-tiny", 1e-3), ("translate-small", 2.5e-4), ("big", 1.1e-4)]
)
def test_a_trained_model_goes_on_at_a_lower_rate_the_larger_it_is(preset, rate) -> None:
    config = preset_config(preset, vocab_size=100)
    for given in ({}, {"model": {"preset": "base"}}):
        auto = auto_recipe.AutoRecipe(given, text_of(5_000), CPU, 1200, config)
        assert auto.complete().training.learning_rate == rate
    given = {"training": {"learning_rate": 0.002}}
    auto = auto_recipe.AutoRecipe(given, text_of(5_000), CPU, 1200, config)
    assert auto.complete().training.learning_rate == 0.002


def test_parts_of_a_new_t5_learn_at_their_own_rates() -> None:
    text = TextFacts(9_000, 500_000, 63, 0)
    for objective in ("span-corruption", "prefix-lm"):
        assert choose(text, {"objective": objective})[0].training.learning_rates == {
            "embedding": 5.0
        }
        assert choose(text, {"objective": objective})[0].model["dropout"] == 0.0
    assert choose(text, LANGUAGE_MODEL)[0].training.learning_rates == {}
    given = {"objective": "span-corruption", "training": {"freeze": ["embedding"]}}
    assert choose(text, given)[0].training.learning_rates == {}
    config = preset_config("t5-tiny", vocab_size=700)
    auto = auto_recipe.AutoRecipe({"objective": "prefix-lm"}, text, CPU, 1200, config)
    assert auto.complete().training.learning_rates == {}


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_is_planned(objective: str) -> None:
    recipe, _ = choose(TextFacts(9_000, 500_000, 63, 0), {"objective": objective})
    rules = OBJECTIVES[objective].rules
    assert recipe.model["preset"] == rules.presets[0]
    assert recipe.training.learning_rate == rules.learning_rates[0]


@pytest.mark.parametrize("objective", ["translation", "language-model"])
@pytest.mark.parametrize("time", [None, "20m", "20s"])
@pytest.mark.parametrize("pairs", [300, 1_000_000])
def test_lines_on_choices_fit_80_columns_with_the_programs_name(objective, time, pairs) -> None:
    given = {"objective": objective, "training": {"time": time} if time else {"epochs": 1.0}}
    seconds = parse_duration("time", time) if time else None
    recipe, auto = choose(text_of(pairs), given, seconds)
    lines = choice_lines(recipe, auto)
    assert max(len(f"transduce: {line}") for line in lines) <= 80, lines
    assert not any(" 1 epochs" in line for line in lines)


@pytest.mark.parametrize("objective", ["translation", "language-model"])
def test_five_lines_tell_what_and_why(objective: str, tmp_path: Path) -> None:
    write = write_pairs if objective == "translation" else write_text
    given = {"objective": objective, "data": write(tmp_path)}
    lines = Planner(given).choose(recipe_of(given), CPU).lines
    names = [line.partition(":")[0] for line in lines]
    assert names == ["tokenizer", "model", "batches", "length", "validation"]
    assert "s each in bfloat16, learning rate 0.00" in lines[2]
    assert re.fullmatch("validation: by (bleu|loss), on .*", lines[4])
    assert lines[3].startswith("length: 300 steps (the least), about ")


@pytest.mark.parametrize(
    ("given", "time", "line"),
    [({}, 20, "length: 20s, about "), ({"epochs": 2.0}, None, "length: 2 epochs, about ")],
)
def test_the_bound_that_decides_is_told(given: dict, time: float | None, line: str) -> None:
    training = {"training": given or {"time": "20s"}}
    recipe, auto = choose(text_of(50_000), training, time)
    lines = choice_lines(recipe, auto)
    assert lines[3].startswith(line)
    assert "whichever" not in lines[3]


@pytest.mark.parametrize(("pairs", "tokens"), [(300, 256), (2_000, 1024), (2_000_000, 2048)])
def test_little_text_is_cut_into_small_batches(pairs: int, tokens: int) -> None:
    assert choose(text_of(pairs))[0].training.batch_tokens == tokens


@pytest.mark.parametrize("pairs", [18, 90, 400, 5_000])
def test_batches_of_little_text_are_estimated_with_their_padding(pairs: int) -> None:
    """Of tokens that are counted: few batches have more padding, and the last one is not full."""
    shape, generator = (pairs, 2), np.random.default_rng(pairs)
    lengths = np.sort(generator.integers(3, 10, shape) + generator.integers(0, 6, shape), axis=0)
    real = len(cut_batches(lengths[:, 0], lengths[:, 1], 256)) - 1
    rules, facts = OBJECTIVES["translation"].rules, text_of(pairs)
    estimate = round(rules.batches_per_epoch(facts, lengths.sum() - 2 * pairs, 256))
    assert abs(estimate - real) <= max(1, 0.15 * real), (estimate, real)


def test_what_is_held_out_is_no_part_of_an_epoch() -> None:
    (most, auto), given = choose(text_of(900)), {"data": {"valid_fraction": 0.5}}
    assert most.data.valid_fraction == 0.1
    batches = auto.batches_per_epoch(most)
    half, auto = choose(text_of(900), given)  # what was read leaves it out
    assert auto.batches_per_epoch(half) > batches


def test_an_adapter_has_a_higher_rate_and_needs_less_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Gradients and moments are those of the updates, at ten times the rate of all weights."""
    trained: list[int | None] = []
    check = lambda *_, **told: trained.append(told["trained"])  # noqa: E731
    monkeypatch.setattr(auto_recipe, "check_memory", check)
    model, rates = preset_config("translate-small", vocab_size=8000), []
    for adapter in ({}, {"adapter": {"kind": "lora", "rank": 4}}):
        auto = auto_recipe.AutoRecipe(adapter, text_of(20_000), CPU, 1200, model)
        rates.append(auto.complete().training.learning_rate)
    assert rates[1] == pytest.approx(10 * rates[0])
    assert trained[0] is None
    assert trained[-1] is not None
    assert 0 < trained[-1] < 0.1 * auto_recipe.count_parameters(model)


def test_a_time_that_is_not_used_is_explained() -> None:
    given = {"training": {"time": "100h"}}
    for fields, told in (
        (given, True),
        ({"training": {"time": "100h", "epochs": 3.0}}, False),
        ({}, False),
    ):
        recipe, auto = choose(text_of(5_000), fields, 360_000.0)
        lines = choice_lines(recipe, auto)
        why = "length: more epochs hardly help; for more: --epochs N, --preset NAME"
        assert (why in lines) is told
        assert max(len(f"transduce: {line}") for line in lines) <= 80


def test_what_a_run_had_before_is_not_told_now() -> None:
    given = {"model": {"preset": "translate-tiny"}, "training": {"steps": 9}}
    recipe, auto = choose(text_of(5_000), given)
    assert [line.endswith("as told") for line in choice_lines(recipe, auto)][1::2] == [True, True]
    auto.anew = {}
    assert "length: 9 steps, as before" in choice_lines(recipe, auto)
