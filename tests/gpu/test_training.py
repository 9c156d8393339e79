"""Training on CUDA takes the CPU's steps, skips what it skips, and waits for nothing."""

import copy
from itertools import count
from pathlib import Path

import pytest
import torch

from tests.gpu.comparing import distance, moved, waits
from tests.models import tiny_model
from tests.training.test_host_reads import ALL
from tests.training.test_noise import every_data, pairs
from tests.training.toys import toy_recipe
from transformer.data import BatchLoader, Data, PairData, pins_memory
from transformer.loading import load_model
from transformer.training.objectives import OBJECTIVES, base
from transformer.training.optimizers import OPTIMIZERS
from transformer.training.recipe import Recipe, TrainingRecipe
from transformer.training.run import Run
from transformer.training.trainer import SkippedStep, StepReport, Trainer

pytestmark = pytest.mark.gpu

CPU = torch.device("cpu")
PRECISIONS = {"float32": "highest", "tf32": "high", "bfloat16": "high", "auto": "high"}
every_precision = pytest.mark.parametrize("precision", PRECISIONS)


def trainer(data: Data, device: torch.device, **training: object) -> Trainer:
    """The same weights on any device; no dropout, whose noise differs between devices."""
    torch.manual_seed(1)
    shape = "encoder-decoder" if isinstance(data, PairData) else "decoder"
    fields = training.pop("model", {})
    model = tiny_model(shape, **fields)
    recipe = Recipe(training=TrainingRecipe(steps=20, warmup=2, **training))
    return Trainer(moved(model, device), data, recipe)


def losses(of: Trainer, steps: int = 10) -> list[float]:
    for _ in range(steps):
        of.step()
    reports = of.reports(flush=True)
    assert all(isinstance(report, StepReport) for report in reports)
    return [report.loss for report in reports]


@every_data
@every_precision
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_ten_steps_have_the_cpus_losses(make, optimizer, precision, device, tmp_path: Path) -> None:
    """A loss is a mean over tokens, so roundings cancel; but Adam divides by the gradient's size,
    so that rounding alone moves weights whose gradient is 0. TF32 has 10 bits of mantissa."""
    options = {**ALL, "clip": 1.0, "optimizer": optimizer, "learning_rate": 1e-2}
    data = make(tmp_path)
    exact = losses(trainer(data, CPU, **options, precision="float32"))
    found = losses(trainer(data, device, **options, precision=precision))
    assert found == pytest.approx(exact, rel=1e-3 if precision == "float32" else 1e-2)
    assert exact[-1] != pytest.approx(exact[0], rel=3e-3)  # ten steps go somewhere


@every_data
def test_batches_from_the_loader_are_those_made_directly(make, device, tmp_path: Path) -> None:
    data, each = make(tmp_path), 2
    assert pins_memory(device) == (device.type == "cuda")
    loader, numbers = BatchLoader(data, accumulate=each, device=device), count()
    for step in range(6):
        tokens, batches = loader.step(step)
        expected = [data.batch(next(numbers)) for _ in range(each)]
        assert tokens == sum(batch.num_targets for batch in expected)
        for found, wanted in zip(batches, expected, strict=True):
            for name, tensor in vars(wanted).items():
                if isinstance(tensor, torch.Tensor):
                    assert getattr(found, name).device == device
                    assert torch.equal(getattr(found, name).cpu(), tensor)


def state_of(of: Trainer) -> list[torch.Tensor]:
    """Weights, moments, counts of steps, averages."""
    moments = [t for one in of.optimizer.state.values() for t in one.values()]
    tensors = [*of.model.state_dict().values(), *moments, *of.ema.weights.values()]
    return [tensor.detach().cpu().clone() for tensor in tensors]


@every_data
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_step_without_numbers_changes_nothing(
    make, optimizer, device, tmp_path: Path, monkeypatch
) -> None:
    plain, spoil = base.batch_loss, False

    def spoilt(*arguments, **options):
        loss, shown = plain(*arguments, **options)
        return (loss * float("nan"), shown * float("nan")) if spoil else (loss, shown)

    monkeypatch.setattr(base, "batch_loss", spoilt)
    some = trainer(make(tmp_path), device, **ALL, optimizer=optimizer)
    losses(some, 2)
    before, spoil = state_of(some), True
    some.step()
    (report,) = some.reports(flush=True)
    assert isinstance(report, SkippedStep) and report.loss != report.loss
    after, spoil = state_of(some), False
    assert all(torch.equal(x, y) for x, y in zip(before, after, strict=True))
    losses(some, 1)
    assert not all(torch.equal(x, y) for x, y in zip(before, state_of(some), strict=True))


@every_precision
def test_a_step_rounds_as_its_precision_says(precision, device, tmp_path, monkeypatch) -> None:
    plain, seen = base.batch_loss, []

    def watched(*arguments, **options):
        seen.append(torch.get_float32_matmul_precision())
        return plain(*arguments, **options)

    monkeypatch.setattr(base, "batch_loss", watched)
    losses(trainer(pairs(tmp_path), device, precision=precision), 1)
    assert seen == [PRECISIONS[precision] if device.type == "cuda" else "highest"]
    assert torch.get_float32_matmul_precision() == "highest"  # as it was before


@every_data
@every_precision
@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "rotary", "relative"])
def test_the_host_waits_for_no_step(make, positions, precision, device, tmp_path: Path) -> None:
    """The first two make the optimizer's state and memory of every size."""
    fields = {"positions": positions, "dropout": 0.1}
    some = trainer(make(tmp_path), device, **ALL, precision=precision, model=fields)
    losses(some, 2)
    with waits(device) as found:
        for _ in range(3):
            some.step()
    assert not found
    assert len(some.reports(flush=True)) == 3


def test_the_host_waits_where_it_reads(device) -> None:
    """So that the tests of waiting can fail."""
    numbers = torch.ones(3, device=device)
    with waits(device) as found:
        numbers.sum().item()
    assert bool(found) == (device.type == "cuda")


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("first", ["here", "there"])
def test_a_run_goes_on_on_the_other_device(objective, first, device, tmp_path: Path) -> None:
    """Four steps on one, saved, four on the other; as if all eight had been on the CPU."""
    recipe = toy_recipe(tmp_path, objective, precision="float32", ema=0.9)
    places = [str(CPU), str(device)]
    whole = Run(recipe, tmp_path / "whole", device="cpu")
    wanted = [event.loss for event in whole.events() if isinstance(event, StepReport)]
    run = Run(recipe, tmp_path / "run", device=places[first == "there"])
    run.stop = lambda: run.progress.step == 4
    events = [*run.events()]
    events += Run(recipe, tmp_path / "run", device=places[first == "here"], resume=True).events()
    found = [event.loss for event in events if isinstance(event, StepReport)]
    assert found == pytest.approx(wanted, rel=1e-3)
    models = [load_model(tmp_path / name, device="cpu").model for name in ("whole", "run")]
    weights = [torch.cat([w.flatten() for w in model.parameters()]) for model in models]
    assert distance(*weights) < 1e-2


def test_a_saved_model_is_the_same_on_either_device(device, tmp_path: Path) -> None:
    run = Run(toy_recipe(tmp_path, steps=2), tmp_path / "run", device=str(device))
    assert [*run.events()]
    here, there = (load_model(tmp_path / "run", device=str(on)) for on in (CPU, device))
    assert there.device == device
    for name, weight in there.model.state_dict().items():
        assert torch.equal(weight.cpu(), here.model.state_dict()[name])
    assert copy.deepcopy(there.model).cpu().config == here.config
