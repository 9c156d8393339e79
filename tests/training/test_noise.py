"""Dropout's noise in training: a function of the recipe's seed and the step alone.

What each Dropout module drops is recorded, in a network where nothing else is exactly 0.
"""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.models import tiny_model
from tests.training.toys import FRAMING
from transformer.data import Data, PairData, TokenStore, TokenWriter, WindowData
from transformer.dropout import Dropout
from transformer.training.recipe import Recipe, TrainingRecipe
from transformer.training.trainer import Trainer

pytestmark = pytest.mark.integration

P = 0.3
RATES = dict.fromkeys(("dropout", "attention_dropout", "activation_dropout"), P)
TOKENS = range(3, 23)  # of the tiny models' vocabulary
Noise = dict[str, list[Tensor]]  # by module: what was dropped, call by call


def windows(_folder: Path) -> WindowData:
    """Running text in batches of one shape, so that the noise of any two can be compared."""
    ids = np.random.default_rng(1).integers(TOKENS.start, TOKENS.stop, 2000).astype(np.uint16)
    return WindowData(ids, context=16, max_tokens=64, seed=3)


def pairs(folder: Path) -> PairData:
    """Pairs of many lengths, for a network with an encoder."""
    chance = np.random.default_rng(1)
    for side in ("source", "target"):
        with TokenWriter(folder / side, vocab_size=TOKENS.stop) as writer:
            writer.write(chance.choice(TOKENS, chance.integers(1, 9)).tolist() for _ in range(60))
    stores = [TokenStore(folder / side) for side in ("source", "target")]
    return PairData(*stores, framing=FRAMING, max_tokens=64, seed=3)


every_data = pytest.mark.parametrize("make", [windows, pairs])


class Recorded:
    """A trainer, and what the Dropout modules of its model drop."""

    def __init__(self, data: Data, *, seed: int = 1, **training: object) -> None:
        shape = "encoder-decoder" if isinstance(data, PairData) else "decoder"
        model = tiny_model(shape, feedforward="gelu", **RATES)  # relu makes zeros of its own
        recipe = Recipe(seed=seed, training=TrainingRecipe(steps=9, warmup=1, **training))
        self.trainer = Trainer(model, data, recipe)
        self.noise: Noise = {}
        for name, module in model.named_modules():
            if isinstance(module, Dropout):
                module.register_forward_hook(self._recorder(name))

    def _recorder(self, name: str) -> Callable[[nn.Module, tuple[Tensor], Tensor], None]:
        def record(_module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
            assert (inputs[0] != 0).all()
            self.noise.setdefault(name, []).append(output == 0)

        return record

    def steps(self, number: int, *, between: Callable[[], object] = lambda: None) -> list[Noise]:
        """The noise of each of the next steps. `between` is done before each."""
        taken = []
        for _ in range(number):
            between()
            self.noise = {}
            self.trainer.step()
            taken.append(self.noise)
        return taken


def assert_same(found: list[Noise], wanted: list[Noise]) -> None:
    for one, other in zip(found, wanted, strict=True):
        assert one.keys() == other.keys() != set()
        for name, masks in one.items():
            assert all(m.any() for m in masks), name
            same = [torch.equal(m, o) for m, o in zip(masks, other[name], strict=True)]
            assert all(same), name


def assert_independent(masks: list[Tensor]) -> None:
    """That two have in common what chance has them: P² of their values."""
    for one, other in combinations(masks, 2):
        assert (one & other).float().mean().item() == pytest.approx(P * P, abs=0.05)


def assert_equal_weights(one: Trainer, other: Trainer) -> None:
    """Which also says that attention, whose noise is none of a module's, dropped the same."""
    weights = other.model.state_dict()
    assert all(torch.equal(w, weights[name]) for name, w in one.model.state_dict().items())


def test_noise_differs_between_steps_micro_batches_and_places(tmp_path: Path) -> None:
    noise = Recorded(windows(tmp_path), accumulate=2).steps(4)
    places = {name: [mask for step in noise for mask in step[name]] for name in noise[0]}
    assert len(places) == 1 + 2 * 3  # embeddings; two layers of two sublayers and what is inside
    for masks in places.values():
        assert len(masks) == 4 * 2
        assert_independent(masks)
    wide = [name for name in places if not name.endswith("feedforward.dropout")]
    for same in (wide, set(places) - set(wide)):  # of one width each, so that they compare
        assert_independent([places[name][0] for name in same])


def test_noise_differs_between_seeds_whatever_the_step(tmp_path: Path) -> None:
    """Were the generator seeded with seed + step, runs of seeds 1 and 2 would share nearly all."""
    noise = [step for seed in (0, 1, 2) for step in Recorded(windows(tmp_path), seed=seed).steps(3)]
    for name in noise[0]:
        assert_independent([step[name][0] for step in noise])


@every_data
def test_noise_is_the_same_whatever_was_drawn_between_the_steps(make, tmp_path: Path) -> None:
    data = make(tmp_path)
    left, disturbed = Recorded(data, accumulate=2), Recorded(data, accumulate=2)
    wanted = left.steps(4)
    assert_same(disturbed.steps(4, between=lambda: torch.manual_seed(99)), wanted)
    assert_equal_weights(disturbed.trainer, left.trainer)


@every_data
@pytest.mark.parametrize(
    "training", [{}, {"accumulate": 2, "ema": 0.9}, {"precision": "bfloat16"}], ids=str
)
def test_noise_is_the_same_after_a_resume(make, training, tmp_path: Path) -> None:
    whole, cut, resumed = (Recorded(make(tmp_path), **training) for _ in range(3))
    wanted = whole.steps(6)
    assert_same(cut.steps(3), wanted[:3])
    (tmp_path / "saved").mkdir()
    cut.trainer.save(tmp_path / "saved")
    torch.manual_seed(99)  # where another process's generator stands
    resumed.trainer.restore(tmp_path / "saved", cut.trainer.steps_done)
    assert_same(resumed.steps(3), wanted[3:])
    assert resumed.trainer.steps_done == 6
    assert_equal_weights(resumed.trainer, whole.trainer)


def test_the_noise_of_a_step_does_not_depend_on_those_before_it(tmp_path: Path) -> None:
    """Weights as they were at the start, and yet what step 3 drops."""
    whole, late = Recorded(windows(tmp_path)), Recorded(windows(tmp_path))
    late.trainer.steps_done = 2
    assert_same(late.steps(1), whole.steps(3)[2:])


@every_data
@pytest.mark.parametrize("training", [{}, {"ema": 0.9}], ids=str)
def test_validation_in_between_drops_nothing_and_changes_no_noise(make, training, tmp_path) -> None:
    data = make(tmp_path)
    left, validated = Recorded(data, **training), Recorded(data, **training)

    def validate() -> None:
        validated.noise = {}
        with validated.trainer.evaluating() as model, torch.no_grad():
            batch = data.batch(0)
            model.hidden(batch.inputs)
            torch.rand(3)  # as sampling a text would
        assert not any(mask.any() for masks in validated.noise.values() for mask in masks)
        assert len(validated.noise) > 0
        assert model.training

    assert_same(validated.steps(4, between=validate), left.steps(4))
    assert_equal_weights(validated.trainer, left.trainer)
