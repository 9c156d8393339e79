"""Memory: estimated and compared with what is free before anything is allocated."""

import weakref
from pathlib import Path

import pytest
import torch

from tests.models import VOCABULARY, tiny_config
from tests.training.toys import write_text
from transformer.config import TransformerConfig
from transformer.errors import ConfigError
from transformer.inputs import ModelInputs
from transformer.layer_spec import LayerSpec
from transformer.model import Transformer
from transformer.presets import preset_config
from transformer.training.planning import memory, speed
from transformer.training.recipe import Recipe, TrainingRecipe
from transformer.training.recipe_resolution import resolve_recipe
from transformer.training.run import Run

CPU = torch.device("cpu")


def test_a_preset_that_cannot_fit_is_refused_before_there_is_a_folder(tmp_path: Path) -> None:
    fields = {
        "objective": "language-model",
        "data": write_text(tmp_path),
        "model": {"preset": "gpt3-175b"},
    }
    recipe = resolve_recipe(None, fields, [])
    with pytest.raises(ConfigError, match=r"173,\d+,\d+,\d+ weights takes [23]\.\d TB .* are free"):
        Run(recipe, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_training_takes_weights_gradients_moments_and_averages() -> None:
    config = preset_config("write-tiny", vocab_size=100)
    weights = memory.training_memory(config, TrainingRecipe()).weights
    ratios = {
        (training.optimizer, training.ema): memory.training_memory(config, training).training
        / weights
        for training in (
            TrainingRecipe(),
            TrainingRecipe(optimizer="sgd"),
            TrainingRecipe(ema=0.9),
        )
    }
    assert ratios == {("adamw", 0.0): 3, ("sgd", 0.0): 2, ("adamw", 0.9): 5}


def test_batches_of_twice_the_tokens_keep_twice_the_activations() -> None:
    config = preset_config("translate-small", vocab_size=4000)
    small, large = (
        memory.training_memory(config, TrainingRecipe(batch_tokens=tokens)).activations
        for tokens in (2048, 4096)
    )
    assert large == 2 * small
    assert 600e6 < large < 1e9  # measured: the program grew by 840 MB, kernels included


def kept_bytes(config: TransformerConfig, batch: ModelInputs) -> int:
    """Of what a forward pass keeps for the backward one, the weights left out."""
    model = Transformer(config).train()
    weights = {each.untyped_storage().data_ptr() for each in model.state_dict().values()}
    kept = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.hidden(batch)
    return sum(size for place, size in kept.items() if place not in weights)


@pytest.mark.parametrize("shape", ["decoder", "encoder"])
@pytest.mark.parametrize(
    ("fields", "grown"),
    [
        ({"attention": "performer", "random_features": 32}, {"random_features": 512}),
        ({"attention": "linear", "d_head": 8}, {"d_head": 64}),
        ({"positions": "rotary", "d_head": 8}, {"d_head": 128}),
        ({}, {"layers": (LayerSpec(), LayerSpec(attention="performer"))}),
    ],
)
def test_what_attention_keeps_is_counted(shape: str, fields: dict, grown: dict) -> None:
    batch = ModelInputs(torch.randint(VOCABULARY, (2, 128)))
    training = TrainingRecipe(batch_tokens=256)
    kept, told = [], []
    for own in (fields, {**fields, **grown}):
        config = tiny_config(shape, **{"positions": "none", **own})
        kept.append(kept_bytes(config, batch))
        told.append(memory.training_memory(config, training).activations)
    share = (told[1] - told[0]) / (kept[1] - kept[0])
    assert 0.7 < share < 1.7, (kept, told)


def table(**rows: int) -> str:
    return "".join(f"{name} {value}\n" for name, value in rows.items())


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose files in /proc and /sys lie in a folder."""
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable: 4096 kB\n")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    return tmp_path


def test_free_memory_is_what_the_system_says(machine: Path) -> None:
    assert memory.available_memory(CPU) == 4 << 20


@pytest.mark.parametrize("version", [1, 2])
def test_a_containers_limit_counts_without_its_cache_of_files(machine: Path, version: int) -> None:
    if version == 1:
        (machine / "memory").mkdir()
        names = ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")
        (machine / "memory/memory.stat").write_text(table(total_inactive_file=300))
    else:
        names = ("memory.max", "memory.current")
        (machine / "memory.stat").write_text(table(inactive_file=300))
    for name, value in zip(names, ("1000", "900"), strict=True):
        (machine / name).write_text(value)
    assert memory.available_memory(CPU) == 400
    (machine / names[0]).write_text("max")
    assert memory.available_memory(CPU) == 4 << 20


def test_a_model_that_just_fits_is_trained(machine: Path) -> None:
    config, training = preset_config("write-tiny", vocab_size=100), TrainingRecipe(batch_tokens=1)
    needed = memory.training_memory(config, training).total
    (machine / "meminfo").write_text(f"MemAvailable: {needed // 1024 + 1} kB\n")
    memory.check_memory(config, training, CPU)
    (machine / "meminfo").write_text(f"MemAvailable: {needed // 1024 - 1} kB\n")
    with pytest.raises(ConfigError, match=r"free: choose a smaller preset$"):
        memory.check_memory(config, training, CPU)


def test_a_batch_that_does_not_fit_is_named(machine: Path) -> None:
    config, training = (
        preset_config("write-tiny", vocab_size=100),
        TrainingRecipe(batch_tokens=10**6),
    )
    with pytest.raises(ConfigError, match=r"free: lower training\.batch_tokens: a batch takes"):
        memory.check_memory(config, training, CPU)


def test_what_measured_steps_took_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what is kept of them counts as used where the run's own memory is compared."""
    models, alive = [], []
    built = speed.Transformer

    def build(config: TransformerConfig) -> Transformer:
        model = built(config)
        models.append(weakref.ref(model))
        return model

    monkeypatch.setattr(speed, "Transformer", build)
    monkeypatch.setattr(speed, "release_freed_memory", lambda: alive.append(models[-1]()))
    config, recipe = tiny_config(), Recipe(objective="language-model")
    data = speed.RandomBatches(config, length=8, max_tokens=16)
    speed.measure_step(config, recipe, data, device=CPU, seconds=0.0)
    assert alive == [None]
