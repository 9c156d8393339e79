"""Saves between validations: nothing but the state, and no trace of them in the results."""

import json
from collections import Counter
from itertools import takewhile
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from checkpoints import CheckpointError, read_json
from tests.training.test_run import assert_equal_runs, changed
from tests.training.toys import toy_recipe, train
from transformer.errors import ConfigError
from transformer.evaluation import Likelihood
from transformer.loading import find_model, load_model, read_pointers
from transformer.pipelines.arguments import TranslateArguments
from transformer.pipelines.records import IterableSource
from transformer.pipelines.session import Session
from transformer.training.events import Notice, RunStarted, Saved, Validated
from transformer.training.progress import Progress
from transformer.training.recipe import Recipe
from transformer.training.run import Run
from transformer.training.run_folder import read_progress, state_folders
from transformer.training.save_interval import SaveInterval, parse_save_interval
from transformer.training.saves import Saver
from transformer.training.trainer import Trainer
from transformer.training.validation import Validation, ValidationResult


@pytest.mark.parametrize(
    ("value", "interval"),
    [
        ("10m", SaveInterval(seconds=600)),
        ("1h30m", SaveInterval(seconds=5400)),
        (" 90s ", SaveInterval(seconds=90)),
        (500, SaveInterval(steps=500)),
        ("500", SaveInterval(steps=500)),
        (0, SaveInterval()),
    ],
)
def test_an_interval_is_a_time_or_a_number_of_steps(value, interval: SaveInterval) -> None:
    assert parse_save_interval(value) == interval


@pytest.mark.parametrize("value", ["often", "-5", -5, "10 parsecs", "", "0s", "٣"])
def test_another_interval_is_refused_in_one_line(tmp_path: Path, value) -> None:
    with pytest.raises(ConfigError, match=r"training\.save_every is .*10m .* a number of steps"):
        toy_recipe(tmp_path, save_every=value)


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def saver(tmp_path: Path, clock: Clock, save_every: str | int) -> Saver:
    recipe = toy_recipe(tmp_path, save_every=save_every)
    trainer = SimpleNamespace(model=SimpleNamespace(config=None))
    return Saver(recipe, tmp_path, trainer, None, {"recipe.toml": b""}, clock=clock)


def test_a_save_is_due_a_time_after_the_last_one(monkeypatch, tmp_path: Path) -> None:
    def save_slowly(*arguments: object, **options: object) -> None:
        clock.now += duration

    monkeypatch.setattr("transformer.training.saves.save_state", save_slowly)
    clock, duration = Clock(), 1.0
    saves, progress = saver(tmp_path, clock, "60s"), Progress(step=1)
    clock.now = 59
    assert not saves.is_due(progress)
    clock.now = 60
    assert saves.is_due(progress)
    saves.save(progress, checkpoint=False)
    clock.now = 500
    assert not saves.is_due(progress)  # there is no new step
    clock.now, progress.step = 120, 2
    assert not saves.is_due(progress)
    clock.now, duration = 121, 10.0  # a disk that has become slow: at most 5% of the time
    assert saves.is_due(progress)
    saves.save(progress, checkpoint=False)
    clock.now, progress.step = 131 + 189, 3
    assert not saves.is_due(progress)
    clock.now = 131 + 191
    assert saves.is_due(progress)


def test_a_save_is_due_at_its_steps_whatever_the_time(tmp_path: Path) -> None:
    saves = saver(tmp_path, Clock(), 3)
    due = [step for step in range(10) if saves.is_due(Progress(step=step))]
    assert due == [3, 6, 9]
    assert not saver(tmp_path, Clock(), 0).is_due(Progress(step=6))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Recipe, Path]:
    """A recipe, and its run without saves between validations, which are at steps 4 and 8."""
    folder = tmp_path_factory.mktemp("saves")
    recipe = toy_recipe(folder, save_every=0)
    train(recipe, folder / "whole")
    return recipe, folder / "whole"


def killed(recipe: Recipe, run: Path, at: int) -> None:
    """Train until a save between validations is written, and no further."""
    events = Run(recipe, run, device="cpu", resume=True).events()
    while not isinstance(event := next(events), Saved) or event.step < at:
        pass
    assert event == Saved(at, None)
    events.close()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.integration
def test_saves_between_validations_leave_no_trace(made, tmp_path: Path) -> None:
    recipe, whole = made
    often = changed(recipe, training={"save_every": 1}, validation={"patience": 2})
    events = train(often, tmp_path / "run")
    assert_equal_runs(tmp_path / "run", whole)
    assert [event.step for event in events if isinstance(event, Saved)] == list(range(1, 9))
    validated = [event for event in events if isinstance(event, Validated)]
    assert [event.step for event in validated] == [4, 8]
    assert names(tmp_path / "run/checkpoints") == names(whole / "checkpoints")
    logs = [(run / "metrics.jsonl").read_text().count("\n") for run in (tmp_path / "run", whole)]
    assert logs[0] == logs[1]


@pytest.mark.integration
def test_a_run_goes_on_from_them_to_equal_weights(made, tmp_path: Path) -> None:
    recipe, whole = made
    often, run = changed(recipe, training={"save_every": 3}), tmp_path / "run"
    killed(often, run, 3)
    assert read_pointers(run).last is None
    with pytest.raises(CheckpointError, match="no checkpoint yet: it writes one at its first"):
        find_model(run)
    killed(often, run, 6)
    assert names(run / "checkpoints") == ["step-00000004"]
    assert read_pointers(run).last == "checkpoints/step-00000004"
    progress = read_progress(state_folders(run)[0])
    assert (progress.step, progress.validated_step, progress.checkpoint_step) == (6, 4, 4)
    events = train(often, run, resume=True)
    assert [event.step for event in events if isinstance(event, Validated)] == [8]
    assert not [event for event in events if isinstance(event, Notice) and "step" in event.text]
    assert_equal_runs(run, whole)


@pytest.mark.integration
def test_a_stop_after_one_of_them_writes_the_checkpoint(made, tmp_path: Path) -> None:
    recipe, run = changed(made[0], training={"save_every": 3}), tmp_path / "run"
    killed(recipe, run, 3)
    stopped = Run(recipe, run, device="cpu", resume=True, stop=lambda: True)
    list(stopped.events())
    assert find_model(run).name == "step-00000003"


@pytest.mark.integration
@pytest.mark.parametrize("lost", ["checkpoint", "state"])
def test_what_is_lost_of_such_a_run_is_made_up_for(made, tmp_path: Path, lost: str) -> None:
    recipe, run = changed(made[0], training={"save_every": 3}), tmp_path / "run"
    killed(recipe, run, 6)
    path = {
        "checkpoint": run / "checkpoints/step-00000004/model.safetensors",
        "state": run / "training/step-00000006/weights.safetensors",
    }[lost]
    path.write_bytes(b"")
    resumed = Run(recipe, run, device="cpu", resume=True).events()
    events = list(takewhile(lambda event: not isinstance(event, RunStarted), resumed))
    assert (run / (read_pointers(run).last or "lost")).is_dir()
    resumed.close()
    train(recipe, run, resume=True)
    told = [event.text for event in events if isinstance(event, Notice)]
    if lost == "checkpoint":
        assert any("that of step 6 is written from the state" in text for text in told)
    else:
        assert any("going on from step 4" in text for text in told)
    assert_equal_runs(run, made[1])


@pytest.mark.integration
def test_a_state_of_an_older_version_has_a_checkpoint(made, tmp_path: Path) -> None:
    recipe, run = made[0], tmp_path / "run"
    stopped = Run(recipe, run, device="cpu")
    stopped.stop = lambda: stopped.progress.step == 2
    list(stopped.events())
    state = state_folders(run)[0]
    fields = read_json(state / "state.json")
    del fields["checkpoint_step"]
    (state / "state.json").write_text(json.dumps(fields))
    assert msgspec.to_builtins(read_progress(state))["checkpoint_step"] == 2


@pytest.mark.integration
def test_a_validation_that_was_logged_and_not_saved_is_logged_once(made, tmp_path: Path) -> None:
    """A stop in a validation saves its step; a kill comes before the next one is saved."""
    recipe, run = made[0], tmp_path / "run"
    stopped = Run(recipe, run, device="cpu")
    stopped.stop = lambda: stopped.progress.step == 4
    list(stopped.events())
    events = Run(recipe, run, device="cpu", resume=True).events()
    while not isinstance(next(events), Validated):
        pass
    events.close()
    train(recipe, run, resume=True)
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    validations = [each["step"] for each in records if each["event"] == "validation"]
    assert validations == [4, 8]


@pytest.mark.integration
def test_a_run_ends_with_samples_of_its_best_checkpoint(monkeypatch, tmp_path: Path) -> None:
    """Not of its last one, which has gone astray here."""
    losses = iter([1.0, 2.0])

    def compute(self: Validation, trainer: Trainer) -> ValidationResult:
        return ValidationResult(Likelihood(next(losses), 1), {}, [])

    monkeypatch.setattr(Validation, "compute", compute)
    recipe = changed(toy_recipe(tmp_path, learning_rate=0.5), validation={"metric": "loss"})
    run = tmp_path / "run"
    outcome = train(recipe, run)[-1].outcome
    assert (outcome.best_step, outcome.checkpoint.name) == (4, "step-00000004")
    assert outcome.scores == {"loss": 1.0}
    loaded = load_model(run, device="cpu")
    sources = [dict(sample)["source"] for sample in outcome.samples]
    answers = Session([loaded]).translate(
        IterableSource(sources), TranslateArguments(beam=1, no_guard=True), Counter()
    )
    outputs = [dict(sample)["output"] for sample in outcome.samples]
    assert outputs == [answer.outputs[0].text for answer in answers]
    assert len(outputs) == 3
