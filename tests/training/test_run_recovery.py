"""What resuming makes of a run's folder that a kill or a disk has damaged."""

import errno
import fcntl
import os
import shutil
import threading
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

import pytest
import torch

from checkpoints import CheckpointError, load_tensors
from tests.training.test_run import changed
from tests.training.toys import toy_recipe, train
from transformer.errors import BusyError, ConfigError
from transformer.folder_layout import LOCK, step_of
from transformer.loading import find_model, load_model, read_pointers
from transformer.training.events import Event, Notice, RunStarted, Saved, Validated
from transformer.training.recipe import Recipe
from transformer.training.recipe_resolution import resolve_recipe
from transformer.training.run import Run
from transformer.training.run_folder import state_folders
from transformer.training.run_lock import RunLock

pytestmark = pytest.mark.integration

WHOLE, CUT = "whole", "cut"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Recipe, Path]:
    """A recipe, its run from end to end, and one that was stopped at step 6 of 8."""
    folder = tmp_path_factory.mktemp("runs")
    recipe = toy_recipe(folder)
    train(recipe, folder / WHOLE)
    run = Run(recipe, folder / CUT, device="cpu")
    run.stop = lambda: run.progress.step == 6
    list(run.events())
    return recipe, folder


@pytest.fixture
def run(made, tmp_path: Path) -> Path:
    """A copy of the run that was stopped, to damage."""
    return shutil.copytree(made[1] / CUT, tmp_path / "run")


@pytest.fixture
def recipe(made) -> Recipe:
    return made[0]


def state(run: Path, step: int) -> Path:
    return run / "training" / f"step-{step:08d}"


def checkpoint(run: Path, step: int) -> Path:
    return run / "checkpoints" / f"step-{step:08d}"


def resume(recipe: Recipe, run: Path, whole: Path) -> list[str]:
    """Resume a run and compare its end with that of another; return the notices."""
    events = train(recipe, run, resume=True)
    ends = [read_pointers(each) for each in (run, whole)]
    assert ends[0] == ends[1]
    for name in (f"{ends[0].last}/model.safetensors", f"{ends[0].state}/optimizer.safetensors"):
        one, other = load_tensors(run / name), load_tensors(whole / name)
        assert all(torch.equal(one[key], other[key]) for key in other)
    return notices(events)


def notices(events: list[Event]) -> list[str]:
    skipped = ("checking the files", "preparing the", "BLEU", "no validation")
    texts = [event.text for event in events if isinstance(event, Notice)]
    return [text for text in texts if not text.startswith(skipped)]


def spoil(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def test_an_undamaged_run_is_resumed_without_a_word(made, recipe, run) -> None:
    assert resume(recipe, run, made[1] / WHOLE) == []


@pytest.mark.parametrize("parts", [["training"], ["training", "checkpoints"]])
def test_what_is_newer_than_the_state_is_removed(recipe, run, parts) -> None:
    """As after a kill in a save: else it outlived what run.json names."""
    for part in parts:
        shutil.copytree(run / part / state(run, 6).name, run / part / state(run, 8).name)
    stopped = Run(recipe, run, device="cpu", resume=True)
    stopped.stop = lambda: stopped.progress.step == 7
    list(stopped.events())
    assert read_pointers(run).state == "training/step-00000007"
    steps = {path.name for path in (run / "training").iterdir()}
    assert steps == {state(run, 6).name, state(run, 7).name}
    assert not checkpoint(run, 8).exists()
    assert load_model(run, device="cpu").config.d_model == 16
    train(recipe, run, resume=True)


def swap(path: Path) -> None:
    """Another name that exists: nothing but the checksum tells."""
    path.write_text(path.read_text().replace("training/step-00000006", "training/step-00000004"))


@pytest.mark.parametrize(
    "damage", [lambda path: path.unlink(), spoil, lambda path: os.truncate(path, 40), swap]
)
def test_a_lost_run_json_is_made_from_the_states(made, recipe, run, damage) -> None:
    damage(run / "run.json")
    with pytest.raises(CheckpointError, match=r"run\.json.*mend the run with .*--resume"):
        find_model(run)
    with pytest.raises(ConfigError, match="holds a run already"):
        train(recipe, run)
    told = resume(recipe, run, made[1] / WHOLE)
    assert len(told) == 1
    assert told[0].endswith("going on from step 6")


@pytest.mark.parametrize("file", ["weights.safetensors", "optimizer.safetensors", "state.json"])
def test_a_damaged_state_falls_back_to_the_one_before(made, recipe, run, file) -> None:
    spoil(state(run, 6) / file)
    told = resume(recipe, run, made[1] / WHOLE)
    assert any(f"{file} is damaged" in text and "going on from step 4" in text for text in told)


def test_a_lost_state_falls_back_too_and_a_lost_manifest_is_no_whole_state(
    made, recipe, run
) -> None:
    (state(run, 6) / "manifest.json").unlink()
    told = resume(recipe, run, made[1] / WHOLE)
    assert "manifest.json is missing: going on from step 4" in told[0]


def test_without_a_whole_state_one_line_says_how_to_go_on(recipe, run) -> None:
    for step in (4, 6):
        spoil(state(run, step) / "weights.safetensors")
    kept = sorted(run.rglob("*"))
    with pytest.raises(CheckpointError, match=r"no whole state .*--init .*step-00000006"):
        train(recipe, run, resume=True)
    shutil.rmtree(run / "training")
    (run / "run.json").unlink()
    with pytest.raises(CheckpointError, match=r"no whole state .*--init .*step-00000006"):
        train(recipe, run, resume=True)
    assert {path for path in kept if "checkpoints" in path.parts} <= set(run.rglob("*"))


@pytest.mark.parametrize(
    "damage", [spoil, lambda path: path.unlink(), lambda path: os.truncate(path, 60)]
)
@pytest.mark.parametrize("name", ["recipe.toml", "tokenizer.json"])
def test_a_runs_own_files_are_restored_from_its_state(made, recipe, run, name, damage) -> None:
    before = (run / name).read_bytes()
    damage(run / name)
    assert resolve_recipe(None, {}, [], resumed=run) == recipe
    told = resume(recipe, run, made[1] / WHOLE)
    assert (run / name).read_bytes() == before
    assert len(told) == 1
    assert f"{run / name} " in told[0]


def test_a_recipe_that_was_edited_by_hand_is_not_obeyed_in_silence(made, recipe, run) -> None:
    text = (run / "recipe.toml").read_text()
    (run / "recipe.toml").write_text(text.replace("steps = 8", "steps = 80"))
    told = resume(resolve_recipe(None, {}, [], resumed=run), run, made[1] / WHOLE)
    assert "options of --resume, such as --steps" in told[0]


def test_a_setting_changed_on_resuming_stays_through_a_kill(made, recipe, run) -> None:
    longer = resolve_recipe(None, {}, ["training.steps=9"], resumed=run)
    killed = Run(longer, run, device="cpu", resume=True).events()
    while not isinstance(next(killed), Validated):
        pass
    killed.close()
    assert resolve_recipe(None, {}, [], resumed=run).training.steps == 9


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json", ""])
def test_the_last_checkpoint_is_written_again_from_the_state(made, recipe, run, file) -> None:
    before = (checkpoint(run, 6) / "model.safetensors").read_bytes()
    if file:
        spoil(checkpoint(run, 6) / file)
    else:
        shutil.rmtree(checkpoint(run, 6))
    events = Run(recipe, run, device="cpu", resume=True).events()
    told = list(takewhile(lambda event: not isinstance(event, RunStarted), events))
    assert any("written again from the state" in getattr(event, "text", "") for event in told)
    assert (checkpoint(run, 6) / "model.safetensors").read_bytes() == before
    events.close()


def test_a_lost_best_checkpoint_is_told(recipe, run) -> None:
    shutil.rmtree(checkpoint(run, 4))
    with pytest.raises(CheckpointError, match=r"step-00000004 is missing; mend the run"):
        find_model(run)
    events = train(recipe, run, resume=True)
    assert "missing: the best checkpoint is not known any more" in notices(events)[0]
    assert [event.best for event in events if isinstance(event, Validated)] == [True]


def test_a_run_that_another_trains_is_left_alone(recipe, tmp_path: Path) -> None:
    runs = [Run(recipe, tmp_path / "run", device="cpu") for _ in range(2)]
    events = runs[0].events()
    while not isinstance(next(events), Saved):
        pass
    before = contents(tmp_path / "run")
    holder = rf"process {os.getpid()} on \S+ since \d{{4}}-"
    for options in ({}, {"resume": True}):
        with pytest.raises(BusyError, match=holder):
            train(changed(recipe, training={"ema": 0.5}), tmp_path / "run", **options)
    assert load_model(tmp_path / "run", device="cpu").config.d_model == 16
    assert contents(tmp_path / "run") == before
    list(events)
    with pytest.raises(ConfigError, match="holds a run already"):
        next(runs[1].events())
    train(recipe, tmp_path / "run", resume=True)


def test_nothing_is_looked_at_before_the_lock_is_held(monkeypatch, recipe, run) -> None:
    """What is looked at without it may be another's by the time it is used."""
    held: list[bool] = []

    def look(self: Path, *arguments: object, **options: object) -> object:
        if str(self).startswith(str(run)) and self.name != LOCK:
            with (run / LOCK).open() as file, suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                held.append(False)
        return whole(self, *arguments, **options)

    (run / LOCK).touch()
    whole = Path.open
    monkeypatch.setattr(Path, "open", look)
    train(recipe, run, resume=True)
    assert held == []


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_only_a_run_that_trains_holds_the_lock(recipe, run) -> None:
    """Making a run holds up no other; one that has ended leaves its folder free."""
    makers = [threading.Thread(target=make_many, args=(recipe, run)) for _ in range(2)]
    for maker in makers:
        maker.start()
    for _ in range(30):
        with RunLock(run):
            pass
    for maker in makers:
        maker.join()


def make_many(recipe: Recipe, run: Path) -> None:
    for _ in range(20):
        Run(recipe, run, device="cpu", resume=True)


def contents(run: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}


def test_a_lock_ends_with_its_holder_and_the_file_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text("process 1 on elsewhere since 1999\n")
    with RunLock(tmp_path), pytest.raises(BusyError), RunLock(tmp_path):
        pass
    with RunLock(tmp_path) as lock:
        assert lock.is_supported


def test_a_file_system_without_locks_is_told(monkeypatch, recipe, tmp_path: Path) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", refuse)
    event = next(Run(recipe, tmp_path / "run", device="cpu").events())
    assert "cannot be locked" in event.text


def test_copies_that_a_user_made_beside_the_checkpoints_stay(recipe, run) -> None:
    """A run tidies what it wrote, by its names for steps; not all that begins with "step-"."""
    names = ("step-00000004-good", "step-best", "step-4", "step-00000004.bak", "step-٣")
    for name in names:
        for part in ("checkpoints", "training"):
            shutil.copytree(run / part / state(run, 4).name, run / part / name)
    train(recipe, run, resume=True)
    for name in names:
        assert (checkpoint(run, 6).parent / name / "manifest.json").is_file()
        assert (state(run, 6).parent / name / "manifest.json").is_file()


def test_a_users_copies_are_proposed_by_no_message(recipe, run) -> None:
    shutil.copytree(checkpoint(run, 6), run / "checkpoints" / "step-mean")
    (run / "run.json").unlink()
    with pytest.raises(CheckpointError, match=r"-m .*step-00000006$"):
        find_model(run)
    shutil.rmtree(run / "training")
    with pytest.raises(CheckpointError, match=r"--init .*step-00000006$"):
        train(recipe, run, resume=True)


def test_steps_are_ordered_by_number(tmp_path: Path) -> None:
    for step in (99_999_999, 100_000_000):
        (tmp_path / "training" / f"step-{step:08d}").mkdir(parents=True)
    assert [step_of(path) for path in state_folders(tmp_path)] == [100_000_000, 99_999_999]


def test_a_list_of_runs_that_tries_the_lock_keeps_no_training_from_it(
    tmp_path: Path,
) -> None:
    with (tmp_path / LOCK).open("ab+") as lister:
        fcntl.flock(lister, fcntl.LOCK_SH)
        threading.Timer(0.03, fcntl.flock, (lister, fcntl.LOCK_UN)).start()
        with RunLock(tmp_path):
            assert "process" in (tmp_path / LOCK).read_text()
