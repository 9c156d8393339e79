"""Runs that choose, and runs of some epochs or some time: their recipes, and what they keep."""

import os
import threading
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.toys import write_pairs
from tokenizer import CorpusError
from transformer.errors import ConfigError
from transformer.training.events import (
    Choice,
    Notice,
    Remark,
    RunFinished,
    RunStarted,
    StepsChanged,
)
from transformer.training.planning import planner as planners
from transformer.training.planning.fitting import with_steps
from transformer.training.planning.plan import make_plan
from transformer.training.planning.planner import Planner
from transformer.training.planning.speed import StepTime
from transformer.training.progress import TimeBudget
from transformer.training.recipe import Recipe, merge, recipe_from_fields
from transformer.training.recipe_layers import given_fields
from transformer.training.recipe_resolution import read_run_recipe, recipe_of
from transformer.training.run import Run
from transformer.training.run_folder import read_progress
from transformer.training.run_recovery import find_state

CPU = torch.device("cpu")
TINY = {
    "tokenizer": {"kind": "char"},
    "model": {
        "preset": "translate-tiny", "d_model": 16, "d_ff": 16, "heads": 2,
        "encoder_layers": 1, "decoder_layers": 1,
    },
    "training": {"batch_tokens": 256, "warmup": 1},
    "validation": {"metric": "loss", "every": 50},
}  # fmt: skip


def fields_of(folder: Path, **training: Any) -> dict[str, Any]:
    return merge(TINY, {"data": write_pairs(folder)}, {"training": training})


def run(folder: Path, fields: dict[str, Any], *, planner: Planner | None = None, **options: Any):
    return list(
        Run(recipe_of(fields), folder / "run", device="cpu", planner=planner, **options).events()
    )


def last(events: list[Any], kind: type) -> Any:
    return next(event for event in reversed(events) if isinstance(event, kind))


def test_epochs_become_steps_which_the_recipe_keeps(tmp_path: Path) -> None:
    events = run(tmp_path, fields_of(tmp_path, epochs=1.5))
    started = last(events, RunStarted)
    steps = -(-3 * started.batches_per_epoch // 2)
    assert (started.steps, last(events, RunFinished).step) == (steps, steps)
    assert not started.is_timed
    kept = read_run_recipe(tmp_path / "run").training
    assert (kept.steps, kept.epochs) == (steps, 0)


def test_a_resumed_run_goes_on_to_more_epochs(tmp_path: Path) -> None:
    first = run(tmp_path, fields_of(tmp_path, epochs=1))
    fields = given_fields(None, {"training": {"epochs": 2}}, [], resumed=tmp_path / "run")
    assert "steps" not in fields["training"]
    second = run(tmp_path, fields, resume=True)
    assert last(second, RunFinished).step == 2 * last(first, RunFinished).step


def test_a_resumed_run_goes_on_for_some_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, fields_of(tmp_path, steps=4))
    fields = given_fields(None, {"training": {"time": "2s"}}, [], resumed=tmp_path / "run")
    monkeypatch.setattr(planners, "measure_step", lambda *args, **options: StepTime(1.0, 1.0))
    events = run(tmp_path, fields, resume=True)
    assert last(events, RunStarted).steps == 4 + 1
    assert last(events, RunFinished).step > 5


def stopped_run(folder: Path, after: int, **training: Any) -> list[Any]:
    """The events of a run that is stopped after so many steps."""
    fields = fields_of(folder, **training)
    stopped = Run(recipe_of(fields), folder / "run", device="cpu", planner=Planner(None))
    stopped.stop = lambda: stopped.progress.step >= after
    return list(stopped.events())


@pytest.mark.parametrize("again", [{}, {"time": "30m"}])
def test_a_run_of_some_time_keeps_its_steps_when_it_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: dict
) -> None:
    """By --resume alone, and by the same command as before: nothing is measured again."""
    monkeypatch.setattr(planners, "measure_step", lambda *args, **options: StepTime(270.0, 270.0))
    first = stopped_run(tmp_path, 2, time="30m")
    assert last(first, RunStarted).steps == 5
    monkeypatch.setattr(planners, "measure_step", lambda *args, **options: 1 / 0)
    fields = given_fields(None, {"training": again}, [], resumed=tmp_path / "run")
    options = {"device": "cpu", "planner": Planner(fields), "resume": True}
    resumed = Run(recipe_of(fields), tmp_path / "run", **options)
    resumed.stop = lambda: resumed.progress.step >= 3
    events = list(resumed.events())
    assert [event.text for event in events if isinstance(event, Remark)][:1] == [
        "resuming at step 2 of 5"
    ]
    assert not any("changed since" in event.text for event in events if isinstance(event, Notice))
    assert last(events, RunStarted).steps == 5


def test_only_what_a_user_changes_is_told_with_its_former_value(tmp_path: Path) -> None:
    stopped_run(tmp_path, 2, time="30m")
    told = []
    for again in ({"time": "20m"}, {}):
        fields = given_fields(None, {"training": again}, [], resumed=tmp_path / "run")
        options = {"device": "cpu", "planner": Planner(fields), "resume": True}
        resumed = Run(recipe_of(fields), tmp_path / "run", **options)
        resumed.stop = lambda resumed=resumed: resumed.progress.step >= 3
        events = list(resumed.events())
        told.append([e.text for e in events if isinstance(e, Notice) and "changed" in e.text])
    assert told == [['changed since the run was saved: training.time "30m" → "20m"'], []]


def test_the_time_of_a_resumed_run_counts_what_was_used(tmp_path: Path) -> None:
    stopped_run(tmp_path, 2, time="30m")
    state = read_progress(find_state(tmp_path / "run").folder)
    assert state.budget is not None
    assert 0 < state.budget.seconds_used < 60
    planner = Planner(None)
    recipe = recipe_of(fields_of(tmp_path, time="30m"))
    budget = TimeBudget("30m", steps=9, seconds_used=1000.0)
    assert planner.resume(recipe, recipe, budget).training.steps == 9
    assert 700 < planner.deadline.seconds_left() < 800
    other = recipe_of(fields_of(tmp_path, time="10m"))
    assert planner.resume(other, recipe, budget) == other
    more = recipe_of(fields_of(tmp_path, steps=99))
    assert planner.resume(more, recipe_of(fields_of(tmp_path, steps=9)), budget) == more


def test_a_killed_run_has_the_recipe_that_its_state_was_saved_with(tmp_path: Path) -> None:
    """A correction after the last save is lost with the steps that followed it."""

    class Corrects(Planner):
        def corrected(self, recipe: Recipe, step: int) -> Recipe | None:
            return with_steps(recipe, 77) if recipe.training.steps != 77 else None

    fields = recipe_of(fields_of(tmp_path, time="30m"))
    begun = Run(fields, tmp_path / "run", device="cpu", planner=Corrects(None))
    events = begun.events()
    started = next(event for event in events if isinstance(event, RunStarted))
    assert started.is_timed
    next(event for event in events if isinstance(event, StepsChanged))
    assert read_run_recipe(tmp_path / "run").training.steps == started.steps
    begun.stop = lambda: True
    list(events)
    assert read_run_recipe(tmp_path / "run").training.steps == 77


def test_a_run_of_some_time_ends_in_it(tmp_path: Path) -> None:
    planner = Planner(None)
    events = run(tmp_path, fields_of(tmp_path, time="2s"), planner=planner)
    assert last(events, RunFinished).reason == "all steps done"
    assert 0 < planner.deadline.seconds_left() + 0.5 < 1.5
    kept = read_run_recipe(tmp_path / "run").training
    changed = [event.steps for event in events if isinstance(event, StepsChanged)]
    assert (kept.time, kept.steps) == ("", last(events, RunFinished).step)
    assert changed and changed[-1] == kept.steps


def test_a_time_that_is_over_before_training_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"over before the first step: .* give at least \d+s"):
        run(tmp_path, fields_of(tmp_path, time="0.01s"))


def test_a_run_chooses_before_its_text_is_prepared_and_keeps_it(tmp_path: Path) -> None:
    fields = {"data": write_pairs(tmp_path), "training": {"steps": 2}}
    events = run(tmp_path, fields, planner=Planner(fields))
    assert len([event for event in events if isinstance(event, Choice)]) == 5
    kept = read_run_recipe(tmp_path / "run")
    assert (kept.data.valid_fraction, kept.model["preset"]) == (0.1, "translate-tiny")
    assert kept.tokenizer.vocab_size == 300
    assert kept.training.steps == 2


def test_a_run_that_chose_is_resumed_with_its_text_gone(tmp_path: Path) -> None:
    fields = {"data": write_pairs(tmp_path), "training": {"steps": 1}}
    run(tmp_path, fields, planner=Planner(fields))
    for side in ("source", "target"):
        Path(fields["data"][side][0]).unlink()
    more = given_fields(None, {"training": {"steps": 2}}, [], resumed=tmp_path / "run")
    assert last(run(tmp_path, more, resume=True), RunFinished).step == 2


def test_text_that_can_be_read_once_is_chosen_for_and_trained_on(tmp_path: Path) -> None:
    data = write_pairs(tmp_path)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    lines = [Path(data[side][0]).read_text().splitlines() for side in ("source", "target")]
    rows = "".join(f"{a}\t{b}\n" for a, b in zip(*lines, strict=True))
    threading.Thread(target=pipe.write_text, args=(rows,), daemon=True).start()
    fields = {"data": {"pairs": [str(pipe)]}, "training": {"steps": 2}}
    events = run(tmp_path, fields, planner=Planner(fields))
    assert last(events, RunFinished).step == 2
    assert read_run_recipe(tmp_path / "run").data.pairs == [str(pipe)]


def test_a_tokenizer_that_can_be_read_once_is_chosen_by_and_kept(tmp_path: Path) -> None:
    run(tmp_path, fields_of(tmp_path, steps=1))
    kept, pipe = (tmp_path / "run" / "tokenizer.json").read_text(), tmp_path / "pipe"
    os.mkfifo(pipe)
    threading.Thread(target=pipe.write_text, args=(kept,), daemon=True).start()
    fields = merge(fields_of(tmp_path, steps=1), {"tokenizer": {"path": str(pipe)}})
    events = Run(recipe_of(fields), tmp_path / "more", device="cpu", planner=Planner(fields))
    assert last(list(events.events()), RunFinished).step == 1
    assert (tmp_path / "more" / "tokenizer.json").read_text() == kept
    assert read_run_recipe(tmp_path / "more").tokenizer.path == str(pipe)


@pytest.mark.parametrize("chooses", [True, False])
def test_a_plan_is_a_recipe_and_trains_nothing(tmp_path: Path, chooses: bool) -> None:
    fields = fields_of(tmp_path, steps=30)
    planner = Planner(fields if chooses else None)
    plan = make_plan(planner, recipe_of(fields), CPU)
    text = plan.text()
    assert recipe_from_fields(tomllib.loads(text)) == plan.choices.recipe
    assert ("# length: 30 steps, as told" in text) == chooses
    assert "# time: about 0:0" in text
    assert "# memory: about " in text
    assert "steps = 30  # updates of the weights in all" in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["toy.src", "toy.trg"]


@pytest.mark.parametrize("chooses", [True, False])
def test_a_plan_of_a_model_that_cannot_fit_allocates_nothing(tmp_path: Path, chooses: bool) -> None:
    fields = {**fields_of(tmp_path), "model": {"preset": "big", "d_ff": 10**9}}
    with pytest.raises(ConfigError, match="are free: choose a smaller preset"):
        make_plan(Planner(fields if chooses else None), recipe_of(fields), CPU)


def test_further_training_chooses_all_but_model_and_tokenizer(tmp_path: Path) -> None:
    run(tmp_path, fields_of(tmp_path, steps=1))
    fields = {"data": write_pairs(tmp_path), "training": {"steps": 2}}
    options = {"device": "cpu", "planner": Planner(fields), "init": tmp_path / "run"}
    events = list(Run(recipe_of(fields), tmp_path / "more", **options).events())
    lines = [event.text for event in events if isinstance(event, Choice)]
    assert lines[1].startswith("model: the initial one")
    kept = read_run_recipe(tmp_path / "more")
    assert kept.training.warmup == 1
    assert (kept.model.keys(), kept.data.valid_fraction) == ({"preset"}, 0.1)


@pytest.mark.parametrize("given", [{}, {"max_tokens": 40}])
def test_further_training_reads_no_longer_texts_than_the_model(tmp_path: Path, given: dict) -> None:
    short = merge(fields_of(tmp_path, steps=1), {"data": {"max_tokens": 32}})
    run(tmp_path, short)
    fields = {"data": {**write_pairs(tmp_path), **given}, "training": {"steps": 1}}
    options = {"device": "cpu", "planner": Planner(fields), "init": tmp_path / "run"}
    if given:
        with pytest.raises(ConfigError, match="the initial model has 32 positions"):
            Run(recipe_of(fields), tmp_path / "more", **options)
        return
    list(Run(recipe_of(fields), tmp_path / "more", **options).events())
    assert read_run_recipe(tmp_path / "more").data.max_tokens == 32


def test_a_plan_for_a_text_without_any_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty.tsv").write_text("\n")
    fields = {"data": {"pairs": [str(tmp_path / "empty.tsv")]}}
    with pytest.raises(CorpusError, match="the training text is empty"):
        make_plan(Planner(fields), recipe_of(fields), CPU)


def test_a_plan_of_some_time_can_be_trained_by(tmp_path: Path) -> None:
    fields = fields_of(tmp_path, time="20m")
    plan = make_plan(Planner(fields), recipe_of(fields), CPU)
    (tmp_path / "plan.toml").write_text(plan.text())
    again = recipe_of(given_fields(tmp_path / "plan.toml", {}, []))
    assert again == plan.choices.recipe
    assert f"for {plan.choices.steps:,} steps of" in plan.text()
    assert (again.training.time, again.training.steps) == ("", plan.choices.steps)


@pytest.mark.parametrize("length", [{"epochs": 2}, {"time": "9m"}])
def test_a_layer_has_one_measure_of_length_and_replaces_that_of_others(
    tmp_path: Path, length: dict
) -> None:
    with pytest.raises(ConfigError, match="both say how long to train"):
        given_fields(None, {"training": {"steps": 3, **length}}, [])
    file = tmp_path / "recipe.toml"
    file.write_text("[training]\nsteps = 5\n")
    assert given_fields(file, {"training": length}, [])["training"] == length
    file.write_text("[training]\nepochs = 5\ntime = '3h'\n")
    assert given_fields(file, {"training": {"steps": 3}}, [])["training"] == {"steps": 3}
