"""What validation decides: best, ties, patience, averages, precision."""

from pathlib import Path

import msgspec
import pytest
import torch
from torch import nn

from checkpoints import load_tensors, read_json
from tests.models import tiny_model
from tests.training.toys import recipe_of, running_data, toy_recipe
from transformer.evaluation import Likelihood
from transformer.export import average_models
from transformer.training import run as run_module
from transformer.training import validation as validation_module
from transformer.training.events import Validated
from transformer.training.objectives import OBJECTIVES
from transformer.training.precision import PRECISIONS, tf32_rounding
from transformer.training.progress import Progress
from transformer.training.recipe import PRECISION_NAMES
from transformer.training.run import Run
from transformer.training.selection import SelectionKey
from transformer.training.trainer import Trainer

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("values", "best", "without"),
    [
        ([1.0], [True], 0),
        ([1.0, 1.0], [True, False], 1),  # the first of equals stays
        ([1.0, 2.0, 1.5, 2.0], [True, True, False, False], 2),
        ([3.0, 1.0, 2.0, 4.0], [True, False, False, True], 0),
        ([-2.0, -1.0], [True, True], 0),  # losses are given with a minus
    ],
)
def test_the_largest_value_is_the_best(values, best, without) -> None:
    progress = Progress()
    found = []
    for step, value in enumerate(values, 1):
        progress.step = step
        found.append(progress.record_validation(SelectionKey(1, value, 0.0)))
    assert found == best
    assert progress.without_improvement == without
    assert progress.best_step == values.index(max(values)) + 1


@pytest.mark.parametrize(
    ("patience", "without", "over"), [(0, 9, False), (1, 0, False), (1, 1, True), (3, 2, False)]
)
def test_patience_is_over_after_so_many_validations(patience, without, over) -> None:
    assert Progress(without_improvement=without).out_of_patience(patience) == over


@pytest.mark.parametrize(
    ("step", "validated", "due"),
    [(0, 0, False), (3, 0, False), (4, 0, True), (4, 4, False), (8, 4, True), (10, 8, True)],
)
def test_validation_is_due_every_so_many_steps_and_at_the_end(step, validated, due) -> None:
    assert Progress(step=step, validated_step=validated).validation_due(every=4, steps=10) == due


def test_an_interval_that_moves_lets_no_two_validations_come_close() -> None:
    progress, distances = Progress(validated_step=43, interval_moved=True), []
    for progress.step in range(44, 200):
        every = 40 + progress.step % 7
        if progress.validation_due(every=every, steps=1000):
            distances.append(progress.step - progress.validated_step - every)
            progress.validated_step = progress.step
    assert len(distances) == 3
    assert min(distances) >= 0


def scripted(monkeypatch, losses: list[float]) -> None:
    """Validations give these losses, one after another."""
    rest = iter(losses)
    monkeypatch.setattr(
        validation_module, "likelihood", lambda model, batches: Likelihood(next(rest) * 10, 10)
    )


def run_of(folder: Path, *, objective: str = "language-model", steps: int = 99, **kinds) -> Run:
    recipe = toy_recipe(folder, objective, steps=steps, **kinds.pop("training", {}))
    validation = {"every": 2, "metric": "loss", **kinds}
    fields = {**msgspec.to_builtins(recipe), "validation": validation}
    return Run(msgspec.convert(fields, type(recipe)), folder / "run", device="cpu")


@pytest.mark.parametrize(
    ("losses", "patience", "ends"),
    [
        ([3.0, 2.0, 2.5, 2.0, 1.9, 1.9, 1.9, 1.9], 3, (16, 10)),
        ([3.0, 3.0, 9.9], 1, (4, 2)),
        ([3.0, 3.1, 2.9, 3.0, 3.0], 2, (10, 6)),
    ],
)
def test_a_run_stops_when_its_patience_is_over(
    monkeypatch, tmp_path, losses, patience, ends
) -> None:
    last, best = ends
    scripted(monkeypatch, losses)
    events = list(run_of(tmp_path, patience=patience).events())
    validated = [event for event in events if isinstance(event, Validated)]
    assert [event.loss for event in validated] == losses[: len(validated)]
    reason = f"no improvement in {patience} validation{'s' * (patience > 1)}"
    assert events[-1][:3] == (last, reason, False)
    assert [event.step for event in validated if event.best][-1] == best
    pointers = read_json(tmp_path / "run" / "run.json")
    assert pointers["best"] == f"checkpoints/step-{best:08d}"
    assert pointers["last"] == f"checkpoints/step-{last:08d}"


def test_patience_goes_on_through_a_resume(monkeypatch, tmp_path: Path) -> None:
    scripted(monkeypatch, [3.0, 3.0, 3.0, 3.0])
    first = run_of(tmp_path, patience=3)
    first.stop = lambda: first.progress.step == 5
    list(first.events())
    events = list(Run(first.recipe, tmp_path / "run", device="cpu", resume=True).events())
    assert events[-1].step == 8  # 4, 6 and 8 were no better than 2


def test_validation_sees_averages_and_training_its_own_weights() -> None:
    trainer = Trainer(tiny_model(), running_data(), recipe_of("language-model", ema=0.9, warmup=1))
    for _ in range(3):
        trainer.step()
    own = {name: w.clone() for name, w in trainer.model.state_dict().items()}
    assert trainer.ema is not None
    with trainer.evaluating() as model:
        assert not model.training
        for name, weight in model.state_dict().items():
            assert torch.equal(weight, trainer.ema.weights[name])
        assert not torch.equal(model.embedding.weight, own["embedding.weight"])
    assert trainer.model.training
    assert all(torch.equal(w, own[name]) for name, w in trainer.model.state_dict().items())


def test_averages_are_what_is_validated_and_saved(monkeypatch, tmp_path: Path) -> None:
    seen = []

    def spy(model, batches):
        seen.append({name: w.clone() for name, w in model.state_dict().items()})
        return Likelihood(1.0, 1)

    monkeypatch.setattr(validation_module, "likelihood", spy)
    list(run_of(tmp_path, steps=2, training={"ema": 0.9}).events())
    folder = tmp_path / "run"
    state = load_tensors(folder / read_json(folder / "run.json")["state"] / "average.safetensors")
    own = load_tensors(folder / read_json(folder / "run.json")["state"] / "weights.safetensors")
    model = load_tensors(folder / read_json(folder / "run.json")["best"] / "model.safetensors")
    for name, weight in state.items():
        assert torch.equal(seen[0][name], weight)
        assert torch.equal(model[name], weight)
    assert any(not torch.equal(own[name], weight) for name, weight in state.items())


def test_checkpoints_are_averaged_weight_by_weight(tmp_path: Path) -> None:
    list(run_of(tmp_path, steps=8, keep=9).events())
    average_models([tmp_path / "run"], tmp_path / "mean", last=3)
    steps = [tmp_path / "run" / "checkpoints" / f"step-{n:08d}" for n in (4, 6, 8)]
    parts = [load_tensors(folder / "model.safetensors") for folder in steps]
    for name, mean in load_tensors(tmp_path / "mean" / "model.safetensors").items():
        wanted = torch.stack([part[name].double() for part in parts]).mean(dim=0)
        torch.testing.assert_close(mean.double(), wanted, atol=1e-7, rtol=0)


class Types:
    """The types in which linear maps give their products, as they come."""

    def __init__(self, monkeypatch) -> None:
        self.seen: list[torch.dtype] = []
        real = nn.Linear.forward

        def forward(linear, x):
            y = real(linear, x)
            self.seen.append(y.dtype)
            return y

        monkeypatch.setattr(nn.Linear, "forward", forward)

    def taken(self) -> set[torch.dtype]:
        seen, self.seen = set(self.seen), []
        return seen


@pytest.mark.parametrize(
    ("objective", "precision"),
    [
        *(("translation", precision) for precision in PRECISION_NAMES),
        *((objective, "bfloat16") for objective in OBJECTIVES if objective != "translation"),
    ],
)
def test_precision_is_that_of_products_in_training_and_validation(
    monkeypatch, tmp_path, objective, precision
) -> None:
    """And of nothing else: weights, gradients and moments stay float32; texts are decoded so."""
    wanted = torch.bfloat16 if precision == "bfloat16" else torch.float32
    types = Types(monkeypatch)
    real, during = validation_module.likelihood, []

    def spy(model, batches):
        types.taken()
        found = real(model, batches)
        during.append(types.taken())
        return found

    monkeypatch.setattr(validation_module, "likelihood", spy)
    run = run_of(tmp_path, objective=objective, steps=2, training={"precision": precision})
    made: list[Trainer] = []
    monkeypatch.setattr(
        run_module, "Trainer", lambda *given: made.append(Trainer(*given)) or made[0]
    )
    step = Trainer.step

    def spied_step(trainer: Trainer) -> None:
        types.taken()
        step(trainer)
        during.append(types.taken())

    monkeypatch.setattr(Trainer, "step", spied_step)
    list(run.events())
    assert during == [{wanted}] * 3
    assert types.taken() == {torch.float32}  # what was decoded for the sample
    (trainer,) = made
    moments = [t for some in trainer.optimizer.state.values() for t in some.values()]
    assert {t.dtype for t in (*trainer.model.parameters(), *moments)} == {torch.float32}


def test_precisions_differ_in_what_they_compute() -> None:
    losses = {}
    for precision in ("float32", "bfloat16"):
        recipe = recipe_of("language-model", precision=precision)
        trainer = Trainer(tiny_model(), running_data(), recipe)
        trainer.step()
        losses[precision] = trainer.reports()[0].loss
    assert losses["float32"] != losses["bfloat16"]
    assert losses["float32"] == pytest.approx(losses["bfloat16"], rel=0.02)


@pytest.mark.parametrize(
    ("name", "device", "rounding"),
    [
        ("float32", "cuda", "highest"), ("tf32", "cuda", "high"), ("auto", "cuda", "high"),
        ("bfloat16", "cuda", "high"), ("tf32", "cpu", "medium"), ("auto", "cpu", "medium"),
    ],
)  # fmt: skip
def test_tf32_is_allowed_where_the_recipe_says_so_and_only_there(name, device, rounding) -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with tf32_rounding(name, torch.device(device)):
            assert torch.get_float32_matmul_precision() == rounding
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_every_precision_of_recipes_is_one_of_the_table() -> None:
    assert set(PRECISION_NAMES) == set(PRECISIONS)
    assert PRECISIONS["auto"]["cuda"].dtype == torch.bfloat16
    assert PRECISIONS["auto"]["cpu"].dtype == torch.float32


def test_the_best_of_the_state_before_stays_for_it_may_be_resumed_from(
    monkeypatch, tmp_path: Path
) -> None:
    scripted(monkeypatch, [3.0, 3.5, 2.0, 2.5])
    run = run_of(tmp_path, steps=6)
    list(run.events())
    kept = {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()}
    assert kept == {"step-00000002", "step-00000006"}
    newest = tmp_path / "run" / "training" / "step-00000006" / "weights.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    list(Run(run.recipe, tmp_path / "run", device="cpu", resume=True).events())
    pointers = read_json(tmp_path / "run" / "run.json")
    assert pointers["best"] == "checkpoints/step-00000006"
