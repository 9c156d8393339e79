"""Captured steps: the same numbers as the function that was captured, to the bit, without it."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.models import VOCABULARY, tiny_model
from tests.sampling import one_in
from tests.transformer.test_every_variant import WITH_DECODER
from transformer.decoding import ModelStepper, Request
from transformer.decoding.steppers import capture
from transformer.decoding.steppers import model as stepping
from transformer.decoding.steppers.capture import CapturedStep, RepeatedStep
from transformer.kernels import LINEAR_KERNELS, bind_calls, pack_model, packing
from transformer.model import Transformer

pytestmark = pytest.mark.usefixtures("_inference")


@pytest.fixture
def _inference():
    with torch.inference_mode():
        yield


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[CapturedStep]:
    """Steps, once for each time that they were replayed."""
    seen = []
    replay = CapturedStep.replay

    def counted(step: CapturedStep, inputs: Sequence[Tensor]) -> Tensor:
        seen.append(step)
        return replay(step, inputs)

    monkeypatch.setattr(CapturedStep, "replay", counted)
    return seen


def _written_through_a_view(x: Tensor) -> Tensor:
    y = x.sin()
    y[:, 1:].mul_(3)
    return y + 1


WEIGHT = torch.randn(4, 4)
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "with out": lambda x: (x + 1).abs() * WEIGHT[0],
    "a result handed on": lambda x: torch.layer_norm(x.tanh(), [4]) - x.sigmoid(),
    "a result that others are views of": lambda x: (
        (x @ WEIGHT).tanh().view(2, 2, 2).transpose(1, 2) + 1
    ),
    "several results": lambda x: torch.cat([*x.topk(2)], dim=-1),
    "views as results": lambda x: x.exp().chunk(2, dim=1)[1] * 2,
    "the output is a view": lambda x: x.sin()[:, 1],
    "the output is an input": lambda x: x,
    "the output is handed on": lambda x: (x + 1).sin(),
    "a list of tensors": lambda x: torch.stack([x.sin(), WEIGHT[:2], x]),
    "written in place": lambda x: x.sin().mul_(2).add_(x),
    "written in place through a view": _written_through_a_view,
    "a constant that is written into": lambda x: torch.zeros(2, 4).masked_fill_(x > 0, 7.0),
    "an operator that has no out": lambda x: (x > 0) & (x < 1) | (x < -1),
    "a default argument": lambda x: torch.where(x > 0, x, 0.0).clamp(min=0.1),
    "attention": lambda x: F.scaled_dot_product_attention(*x.expand(3, 1, 2, 4), dropout_p=0.0),
    "an index": lambda x: WEIGHT[(x[:, 0] > 0).long()] + x,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_replay_gives_what_the_function_gives(name: str) -> None:
    function = FUNCTIONS[name]
    first, *others = torch.randn(4, 2, 4)
    captured = CapturedStep(function, [first])
    assert captured.can_replay
    assert torch.equal(captured.output, function(first))
    for x in (*others, first):
        assert torch.equal(captured.replay([x]), function(x))


def test_what_stays_is_read_and_written_where_it_is() -> None:
    cache, weight = torch.zeros(8, 4), torch.randn(4)

    def step(x: Tensor, place: Tensor) -> Tensor:
        cache.index_copy_(0, place, x * weight)
        return cache.sum(dim=0)

    captured = CapturedStep(step, [torch.ones(1, 4), torch.tensor([0])])
    weight.mul_(2)
    cache[7] = 5
    x = torch.randn(1, 4)
    found = captured.replay([x, torch.tensor([3])])
    assert torch.equal(cache[[0, 3, 7]], torch.stack([weight / 2, x[0] * weight, cache[7]]))
    assert torch.equal(found, cache.sum(dim=0))


def test_what_depends_on_no_input_is_computed_once() -> None:
    weight = torch.ones(4)
    captured = CapturedStep(lambda x: x + (weight * 2).exp(), [torch.zeros(4)])
    weight.fill_(50)
    assert torch.equal(captured.replay([torch.zeros(4)]), torch.full((4,), 2.0).exp())


def test_inputs_are_not_kept() -> None:
    x = torch.ones(4)
    captured = CapturedStep(lambda x: x * 2, [x])
    x.fill_(9)
    assert captured.replay([torch.ones(4)]).tolist() == [2.0] * 4
    assert x.tolist() == [9.0] * 4


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + torch.rand(4),
        lambda x: x * x.sum().item(),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: x * 2 if x.sum() > 0 else x,
        lambda x: torch.stack(torch.where(x > 0)),
        lambda x: x.bernoulli(),
        lambda x: F.scaled_dot_product_attention(*x.expand(3, 1, 2, 4), dropout_p=0.5),
    ],
    ids=[
        "random",
        "read by the host",
        "by booleans",
        "as many as there are",
        "branch",
        "where",
        "drawn",
        "dropped",
    ],
)
def test_what_a_replay_could_not_give_is_run_each_time(function, monkeypatch) -> None:
    x = torch.rand(4)
    assert not CapturedStep(function, [x]).can_replay
    repeated, calls, tried = RepeatedStep(), [], []
    monkeypatch.setattr(capture, "CapturedStep", lambda *a: tried.append(a) or CapturedStep(*a))

    def counted(x: Tensor) -> Tensor:
        calls.append(x)
        return function(x)

    for _ in range(12):
        repeated.run("same", counted, [x])
    assert len(calls) == 12
    assert len(tried) == 1


def test_a_step_is_captured_once_it_has_been_run_some_times_alike(replays, monkeypatch) -> None:
    monkeypatch.setattr(capture, "_RUNS_BEFORE", 3)
    repeated, calls = RepeatedStep(), []

    def double(x: Tensor) -> Tensor:
        calls.append(x)
        return x * 2

    def run(key: str, times: int) -> tuple[int, int]:
        calls.clear()
        replays.clear()
        for n in range(times):
            assert repeated.run(key, double, [torch.tensor([n])]).tolist() == [2 * n]
        return len(calls), len(replays)

    assert run("a", 3) == (3, 0)
    assert run("a", 5) == (1, 4)
    assert run("b", 6) == (4, 2)
    repeated.reset()
    assert run("b", 6) == (4, 2)


STEPS = 24
ROWS = {5: [1, 0, 2], 6: [0, 0, 1], 9: [0, 2, 2], 11: [2, 1]}  # gathered before a step


def logits(model: Transformer, *, runs: int, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The logits of steps of a text's beams, which change places and become fewer.

    Steps are captured after so many runs."""
    monkeypatch.setattr(capture, "_RUNS_BEFORE", runs)
    monkeypatch.setattr(stepping, "_CAPTURED_TOKENS", 10)
    stepper, seed = ModelStepper(model), torch.Generator().manual_seed(3)
    source = [8, 9, 10, 11] if model.config.has_encoder else []
    stepper.admit([Request(prompt=[5, 6, 7], source=source, max_new_tokens=STEPS)], 3)
    found, rows = [], 3
    for step in range(STEPS):
        if step in ROWS:
            rows = len(ROWS[step])
            stepper.reorder(ROWS[step], rows)
        ids_R = torch.randint(4, VOCABULARY, (rows,), generator=seed)
        found.append(stepper.step(ids_R).clone())
    return found


def assert_replayed_alike(model: Transformer, replays: list, monkeypatch) -> None:
    wanted = logits(model, runs=99, monkeypatch=monkeypatch)
    assert not replays
    found = logits(model, runs=3, monkeypatch=monkeypatch)
    assert len(replays) == 9
    for one, other in zip(found, wanted, strict=True):
        assert torch.equal(one, other)


def _kind(variant: dict[str, object]) -> tuple[object, ...]:
    return variant["shape"], variant.get("attention"), variant.get("positions")


@pytest.mark.parametrize("variant", one_in(4, WITH_DECODER, of_each=_kind), ids=str)
def test_every_network_is_captured_to_the_bit(variant, replays, monkeypatch) -> None:
    assert_replayed_alike(tiny_model(**variant).requires_grad_(False), replays, monkeypatch)


@pytest.mark.parametrize("name", list(LINEAR_KERNELS))
@pytest.mark.parametrize("shape", ["decoder", "encoder-decoder"])
@pytest.mark.parametrize("heads", [2, 4])  # 32 wide and 16 wide: attention goes two ways
def test_every_kernel_is_captured_to_the_bit(name, shape, heads, replays, monkeypatch) -> None:
    monkeypatch.setattr(packing, "SMALL", 0)
    model = tiny_model(shape, d_model=64, d_ff=96, heads=heads).requires_grad_(False)
    pack_model(model, LINEAR_KERNELS[name])
    bind_calls(model)
    assert_replayed_alike(model, replays, monkeypatch)


def test_texts_that_come_later_are_in_no_captured_step(replays, monkeypatch) -> None:
    model = tiny_model("encoder-decoder").requires_grad_(False)
    both = {}
    for runs in (3, 99):
        monkeypatch.setattr(capture, "_RUNS_BEFORE", runs)
        stepper = ModelStepper(model)
        found = both[runs] = []
        for source in ([5, 6, 7, 8], [9, 10]):
            stepper.admit([Request(prompt=[2], source=source, max_new_tokens=20)])
            rows = 1 + len(found) // 8
            found += [stepper.step(torch.full((rows,), 5 + n)).clone() for n in range(8)]
        stepper.reorder([1])
        found += [stepper.step(torch.tensor([5 + n])).clone() for n in range(8)]
        stepper.reorder([])
        stepper.admit([Request(prompt=[2], source=[4, 5], max_new_tokens=20)])
        found += [stepper.step(torch.tensor([5 + n])).clone() for n in range(8)]
    assert len(replays) == 3 * 4
    for one, other in zip(both[3], both[99], strict=True):
        assert torch.equal(one, other)


def test_a_later_longer_text_is_read_to_its_end(replays, monkeypatch) -> None:
    model, found = tiny_model().requires_grad_(False), []
    for few in (0, 8):
        monkeypatch.setattr(stepping, "_FEW_ROWS", few)
        stepper = ModelStepper(model)
        stepper.admit([Request(prompt=[5, 6], max_new_tokens=2)])
        stepper.step(torch.tensor([7]))
        stepper.admit([Request(prompt=[8, 9, 10, 11], max_new_tokens=20)])
        stepper.reorder([1])
        found.append(torch.cat([stepper.step(torch.tensor([5 + n])) for n in range(15)]))
    assert len(replays) == 15 - 1 - capture._RUNS_BEFORE
    torch.testing.assert_close(found[1], found[0], atol=1e-5, rtol=0)


def test_a_text_longer_than_its_cache_is_an_error(replays) -> None:
    stepper = ModelStepper(tiny_model().requires_grad_(False))
    stepper.admit([Request(prompt=[5, 6], max_new_tokens=3)])
    for _ in range(3):
        stepper.step(torch.tensor([7]))
    with pytest.raises(ValueError, match="position 5 in a cache of 4 slots"):
        stepper.step(torch.tensor([7]))


@pytest.mark.parametrize(
    ("texts", "rows", "keep", "captured"),
    [
        (1, 1, False, True),
        (1, 8, False, True),
        (1, 9, False, False),
        (2, 1, False, False),
        (2, 4, False, False),
        (1, 1, True, False),
    ],
)
def test_steps_of_a_lone_text_in_few_rows_are_captured(
    texts, rows, keep, captured, replays
) -> None:
    stepper = ModelStepper(tiny_model().requires_grad_(False), keep_hidden_states=keep)
    stepper.admit([Request(prompt=[5, 6], max_new_tokens=20)] * texts, rows)
    for _ in range(12):
        stepper.step(torch.full((texts * rows,), 5))
    assert bool(replays) == captured


def test_steps_that_may_need_gradients_are_not_captured(replays) -> None:
    with torch.inference_mode(mode=False), torch.no_grad():
        stepper = ModelStepper(tiny_model(d_model=64, heads=2))
        stepper.admit([Request(prompt=[5, 6], max_new_tokens=20)])
        for _ in range(12):
            stepper.step(torch.tensor([5]))
    assert not replays
