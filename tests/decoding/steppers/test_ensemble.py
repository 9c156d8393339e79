"""Several models that write together: averages by hand, and what may be averaged."""

import math
from pathlib import Path

import pytest
import torch

from tests.decoding.tables import END, TableStepper, build, tree, trickle
from tests.models import model_inputs, tiny_model
from tokenizer import Tokenizer, TrainingOptions, train_tokenizer
from transformer.decoding import ModelStepper, Request, decode_all
from transformer.decoding.steppers.ensemble import COMBINATIONS, EnsembleStepper
from transformer.errors import ConfigError
from transformer.loading import LoadedModel, default_generation_config
from transformer.pipelines.compatibility import check_ensemble

A, B, C = 1, 2, 3

# Means of A, B, C: 0.35, 0.35, 0.3. Geometric: √0.07, √0.07 … so that C's √0.09 is the largest.
FIRST = tree({(): {A: 0.6, B: 0.1, C: 0.3}, (A,): {B: 0.2, END: 0.8}, (C,): {A: 1.0}})
SECOND = tree({(): {A: 0.1, B: 0.6, C: 0.3}, (A,): {B: 0.6, END: 0.4}, (C,): {A: 1.0}})


def tables(*some):
    return [TableStepper(table, size=4) for table in some]


def ensemble_logits(combination: str, *some) -> torch.Tensor:
    stepper = EnsembleStepper(tables(*some), combination)
    stepper.admit([Request(prompt=[9], max_new_tokens=3)])
    return stepper.step(torch.tensor([9]))[0]


def test_averages_by_hand() -> None:
    found = ensemble_logits("probability", FIRST, SECOND).exp()
    assert found.tolist() == pytest.approx([0, 0.35, 0.35, 0.3], abs=1e-6)
    total = 2 * math.sqrt(0.06) + 0.3
    found = ensemble_logits("log-probability", FIRST, SECOND).exp()
    wanted = [0, math.sqrt(0.06) / total, math.sqrt(0.06) / total, 0.3 / total]
    assert found.tolist() == pytest.approx(wanted, abs=1e-6)


def test_one_model_can_hold_a_token_up_and_one_can_forbid_it() -> None:
    other = tree({(): {A: 1.0}})
    held = ensemble_logits("probability", FIRST, other).exp()
    assert held.tolist() == pytest.approx([0, 0.8, 0.05, 0.15], abs=1e-6)
    assert ensemble_logits("log-probability", FIRST, other).exp().tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_the_order_of_models_does_not_matter(combination: str) -> None:
    some = (FIRST, SECOND, tree({(): {A: 0.2, B: 0.2, C: 0.6}}))
    forwards, backwards = (ensemble_logits(combination, *s) for s in (some, some[::-1]))
    torch.testing.assert_close(forwards, backwards, atol=1e-6, rtol=0)


def test_beams_go_through_both_tables() -> None:
    """After A the mean of the end is 0.6, of B 0.4; C, of 0.3, goes on to A and ends."""
    search = build("beam", beam=4, n_best=4, length_penalty=0.0)
    stepper = EnsembleStepper(tables(FIRST, SECOND))
    (found,) = decode_all(stepper, search, [Request(prompt=[9], max_new_tokens=5)])
    assert [(h.ids, round(math.exp(h.score), 6)) for h in found] == [
        ([B], 0.35), ([C, A], 0.3), ([A], 0.21), ([A, B], 0.14),
    ]  # fmt: skip


SEARCHED = {
    "greedy": {},
    "beam": {"beam": 3, "n_best": 2},
    "sample": {"samples": 2, "processors": {"top-k": 5}},
}


def full_pass(task: Request, ids: list[int], models) -> list[float]:
    """The log-probability of each token under the mean of some models."""
    source = {"source_BS": torch.tensor([task.source])} if task.source else {}
    ids_1T = torch.tensor([[*task.prompt, *ids]])
    chances_TV = sum(
        model(model_inputs(ids_1T[:, :-1], **source))[0].softmax(-1) for model in models
    )
    mean_TV = chances_TV[len(task.prompt) - 1 :] / len(models)
    return mean_TV.gather(1, torch.tensor(ids)[:, None])[:, 0].log().tolist()


@pytest.mark.parametrize("shape", ["decoder", "encoder-decoder"])
@pytest.mark.parametrize("name", SEARCHED)
@torch.inference_mode()
def test_equal_models_give_what_one_gives_and_neighbours_change_nothing(
    shape: str, name: str
) -> None:
    one, other = tiny_model(shape), tiny_model(shape)
    for weight in other.parameters():
        weight.data.add_(0.5 * torch.randn_like(weight))
    texts = [[5], [6, 7, 8, 9], [10, 11], [12, 13, 14]]
    two = shape == "encoder-decoder"
    tasks = [
        Request(
            prompt=[2] if two else text,
            source=text if two else (),
            max_new_tokens=4 + n,
            rng_key=(n,),
            seed=3,
        )
        for n, text in enumerate(texts)
    ]

    def search():
        return build(name, end_ids=frozenset({3}), **SEARCHED[name])

    def alike(found, wanted) -> None:
        for some, others in zip(found, wanted, strict=True):
            assert [h.ids for h in some] == [h.ids for h in others]
            for h, w in zip(some, others, strict=True):
                assert h.log_probabilities == pytest.approx(w.log_probabilities, abs=1e-5)

    def stepper(*models):
        return EnsembleStepper([ModelStepper(model) for model in models])

    alone = decode_all(ModelStepper(one), search(), tasks)
    alike(decode_all(stepper(one, one), search(), tasks), alone)
    mixed = decode_all(stepper(one, other), search(), tasks)
    for task, (best, *_) in zip(tasks, mixed, strict=True):
        wanted = full_pass(task, best.ids, (one, other))
        assert best.log_probabilities[: len(best.ids)] == pytest.approx(wanted, abs=1e-5)
    alike(decode_all(stepper(other, one), search(), tasks), mixed)
    alike(trickle(stepper(one, other), search(), tasks, most=2), mixed)


def made(tokenizer: Tokenizer, folder: str, shape: str = "decoder", **changes) -> LoadedModel:
    model = tiny_model(shape, vocab_size=tokenizer.vocab_size, **changes)
    return LoadedModel(model, tokenizer, default_generation_config(tokenizer), Path(folder))


def trained(text: str, size: int = 12) -> Tokenizer:
    return train_tokenizer([text] * 9, TrainingOptions(kind="char", vocab_size=size))


def test_what_may_be_averaged() -> None:
    first, again = made(trained("abcd"), "one"), made(trained("abcd"), "two", max_positions=16)
    assert check_ensemble([first, again]) is again
    assert check_ensemble([first]) is first


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: made(trained("abcx"), "two"), r"token \d+ is 'd', 'x'"),
        (lambda: made(trained("abc"), "two"), r"vocab_size is \d+, \d+"),
        (lambda: made(trained("abcd"), "two", "encoder-decoder"), "shape is decoder, encoder-dec"),
    ],
)
def test_what_may_not_be_averaged_is_told_in_one_line(other, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^one and two cannot be averaged: {message}"):
        check_ensemble([made(trained("abcd"), "one"), other()])


def test_no_model_and_encoders_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        check_ensemble([])
    with pytest.raises(ConfigError, match="encoder"):
        check_ensemble([made(trained("abcd"), "one", "encoder")])
