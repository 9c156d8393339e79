"""Steps whose loss or gradient is no number: nothing changes, they are counted and named."""

import json
from pathlib import Path

import pytest
import torch

from cli.render.training import follow_run
from tests.models import tiny_model
from tests.training.toys import pair_data, recipe_of, running_data, toy_recipe, train
from transformer.errors import DivergedError
from transformer.training.objectives import base
from transformer.training.optimizers import OPTIMIZERS
from transformer.training.progress import Progress
from transformer.training.run import Run
from transformer.training.trainer import SkippedStep, StepReport, Trainer

SOURCES = {"loss": float("nan"), "gradient": float("inf")}


class Spoiling:
    """A loss that is spoilt at some calls, counted from 1: itself, or its gradient alone."""

    def __init__(self, monkeypatch, *, calls: set[int], what: str) -> None:
        self.calls, self.what, self.count = calls, what, 0
        self.real = base.batch_loss
        monkeypatch.setattr(base, "batch_loss", self)

    def __call__(self, model, batch, *, smoothing):
        loss, plain = self.real(model, batch, smoothing=smoothing)
        self.count += 1
        if self.count in self.calls:
            loss = loss * SOURCES[self.what]
            plain = plain if self.what == "gradient" else plain * SOURCES[self.what]
        return loss, plain


def snapshot(trainer: Trainer) -> list[torch.Tensor]:
    """Weights, moments and averages."""
    moments = [t for some in trainer.optimizer.state.values() for t in some.values()]
    averages = [] if trainer.ema is None else list(trainer.ema.weights.values())
    return [t.detach().clone() for t in (*trainer.model.parameters(), *moments, *averages)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_first_step_that_is_skipped_leaves_no_trace(monkeypatch, optimizer: str) -> None:
    """Also not in moments, which torch first makes then, and may leave unwritten."""
    trainers = []
    for calls in ({1}, set()):
        recipe = recipe_of("language-model", optimizer=optimizer, warmup=0, schedule="constant")
        trainer = Trainer(tiny_model(dropout=0.0), running_data(), recipe)
        torch.full((200_000,), 1e30)  # what freed memory holds
        Spoiling(monkeypatch, calls=calls, what="loss")
        if calls:
            trainer.step()
            trainer.steps_done = 0
        for _ in range(3):
            trainer.step()
        trainers.append(trainer)
        monkeypatch.undo()
    for found, wanted in zip(*map(snapshot, trainers), strict=True):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("what", SOURCES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_skipped_step_changes_nothing_and_the_next_goes_on(
    monkeypatch, optimizer: str, what: str
) -> None:
    trainer = Trainer(
        tiny_model(), running_data(), recipe_of("language-model", optimizer=optimizer, ema=0.9)
    )
    Spoiling(monkeypatch, calls={3}, what=what)
    for _ in range(2):
        trainer.step()
    before = snapshot(trainer)
    trainer.step()
    assert all(torch.equal(a, b) for a, b in zip(before, snapshot(trainer), strict=True))
    trainer.step()
    after = snapshot(trainer)
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True) if a.dim() > 1)
    assert all(tensor.isfinite().all() for tensor in after)
    kinds = [type(report) for report in trainer.reports()]
    assert kinds == [StepReport, StepReport, SkippedStep, StepReport]


def test_one_bad_batch_of_several_spoils_the_step_and_all_are_named(monkeypatch, tmp_path) -> None:
    data = pair_data(tmp_path)
    trainer = Trainer(tiny_model("encoder-decoder"), data, recipe_of(accumulate=3))
    Spoiling(monkeypatch, calls={3 + 2}, what="loss")
    for _ in range(2):
        trainer.step()
    _, report = trainer.reports()
    assert isinstance(report, SkippedStep)
    assert report.step == 2
    wanted = [", ".join(map(str, data.batch(number).rows[:8])) for number in (3, 4, 5)]
    assert [part.removesuffix(" …") for part in report.batches.split("; ")] == [
        f"kept pairs {rows}" for rows in wanted
    ]


def test_data_name_no_more_than_a_few_of_their_rows(tmp_path: Path) -> None:
    data = pair_data(tmp_path, budget=10_000)
    assert data.describe(0).count(",") == 7
    assert data.describe(0).endswith(" …")
    assert running_data().describe(0).startswith("windows at tokens ")


@pytest.mark.parametrize(("bad", "ends"), [({3, 4, 6, 7}, None), ({3, 4, 6, 7, 8}, 8)])
def test_a_run_ends_after_so_many_in_a_row(monkeypatch, tmp_path, bad, ends) -> None:
    Spoiling(monkeypatch, calls=bad, what="loss")
    run = Run(toy_recipe(tmp_path, steps=10, max_skipped=3), tmp_path / "run", device="cpu")
    if ends is None:
        events = list(run.events())
        assert [e.step for e in events if isinstance(e, SkippedStep)] == sorted(bad)
        assert events[-1][:4] == (10, "all steps done", False, 4)
        return
    seen: list[object] = []
    with pytest.raises(DivergedError, match=r"at step 8 .*; 3 steps in a row skipped"):
        seen.extend(run.events())
    assert [e.step for e in seen if isinstance(e, SkippedStep)] == sorted(bad)


def test_skipped_steps_are_remembered_through_a_resume(monkeypatch, tmp_path) -> None:
    Spoiling(monkeypatch, calls={2, 3}, what="loss")
    recipe = toy_recipe(tmp_path, max_skipped=3)
    run = Run(recipe, tmp_path / "run", device="cpu")
    run.stop = lambda: run.progress.step == 3
    list(run.events())
    Spoiling(monkeypatch, calls={1}, what="loss")  # the third in a row
    with pytest.raises(DivergedError, match="3 steps in a row"):
        train(recipe, tmp_path / "run", resume=True)


def test_what_was_skipped_is_told_and_written_as_json(monkeypatch, tmp_path, capsys) -> None:
    Spoiling(monkeypatch, calls={2}, what="loss")
    run = Run(toy_recipe(tmp_path, steps=3), tmp_path / "run", device="cpu")
    follow_run(run.events(), quiet=False, on_start=lambda: None)
    told = capsys.readouterr().err
    assert (
        "step 2 was skipped: its loss is nan, the gradient's norm nan; it has kept pairs " in told
    )
    assert "all steps done at step 3 (skipped: 1)" in told

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    events = [json.loads(line, parse_constant=refuse)["event"] for line in lines]
    assert events == ["data", "step", "skipped", "step", "validation"]


def test_a_row_of_skipped_steps_is_counted_by_hand() -> None:
    progress = Progress()
    taken = StepReport(1, 1.0, 1.0, 1.0, 1, 1.0)
    skipped = SkippedStep(2, float("nan"), 1.0, "pairs 1")
    for report in (skipped, skipped, taken, skipped, skipped):
        progress.record_step(report, max_skipped=3)
    assert (progress.skipped, progress.skipped_in_a_row) == (4, 2)
    with pytest.raises(DivergedError):
        progress.record_step(skipped, max_skipped=3)
