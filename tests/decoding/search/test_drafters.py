"""What is guessed, and how a model's rows take several tokens and take them back."""

from dataclasses import replace

import pytest
import torch

from tests.decoding.search.test_beam import translator
from tests.decoding.tables import parameters
from tests.models import model_inputs, tiny_model
from transformer.decoding import ModelStepper, Request
from transformer.decoding.request import SequenceState
from transformer.decoding.search.drafters import DRAFTERS, DraftOptions
from transformer.pipelines.speculation import _shares_tokens


@pytest.mark.parametrize(
    ("tokens", "source", "wanted"),
    [
        ([5, 6, 7, 8, 1, 5, 6, 7], [], [8, 1, 5, 6]),
        ([6, 7, 8, 5, 6, 7, 9, 6, 7], [], [9, 6, 7, 9]),  # the latest, which then repeats
        ([5, 6, 7, 8, 9, 6, 7, 1, 5, 6, 7], [], [8, 9, 6, 7]),  # the longest before the latest
        ([4, 4], [], [4, 4, 4, 4]),
        ([1, 2, 3], [], []),
        ([2, 8], [7, 8, 9, 3], [9, 3]),
        ([2, 7, 8], [8, 5, 7, 8, 9, 3], [9, 3]),
        ([8, 1, 8], [8, 5], [1, 8, 1, 8]),  # its own words first
    ],
)
def test_what_is_looked_up(tokens: list[int], source: list[int], wanted: list[int]) -> None:
    row = SequenceState(Request(prompt=tokens[:1], source=source, max_new_tokens=99), tokens[1:])
    for sources in (True, False):
        made_of = DraftOptions(parameters=parameters("greedy"), shares_source_vocabulary=sources)
        (found,) = DRAFTERS["lookup"](made_of).draft([row], [4])
        if sources or not source:
            assert found == wanted
    assert DRAFTERS["lookup"](made_of).draft([row], [0]) == [[]]


@pytest.mark.parametrize("shape", ["decoder", "encoder-decoder"])
@torch.inference_mode()
def test_a_models_rows_go_on_by_different_counts_and_back(shape: str) -> None:
    """Also where the longest row reads nothing and is moved: what it has read stays."""
    model = tiny_model(shape, positions="rotary")
    two = shape == "encoder-decoder"
    texts = [[5, 6], [7, 8, 9, 10, 11, 12], [13]]
    tasks = [Request(prompt=text, max_new_tokens=9, source=[4, 3] if two else ()) for text in texts]
    source = {"source_BS": torch.tensor([[4, 3]])} if two else {}

    def full(tokens) -> torch.Tensor:
        return model(model_inputs(torch.tensor([tokens]), **source))[0]

    def close(found, wanted) -> None:
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)

    stepper = ModelStepper(model)
    stepper.admit(tasks)
    stepper.step(torch.tensor([6, 12, 13]))
    ids_RT = torch.tensor([[14, 15, 16], [0, 0, 0], [17, 18, 0]])
    logits_RTV = stepper.extend(ids_RT, [3, 0, 2])
    close(logits_RTV[0], full([5, 6, 14, 15, 16])[-3:])
    close(logits_RTV[2, :2], full([13, 17, 18])[-2:])
    stepper.rewind([2, 0, 1])
    stepper.extend(torch.tensor([[0], [0], [19]]), [0, 0, 1])
    stepper.reorder([1, 0, 2])
    logits_RV = stepper.step(torch.tensor([20, 21, 22]))
    close(logits_RV[0], full([*texts[1], 20])[-1])
    close(logits_RV[1], full([5, 6, 14, 21])[-1])
    close(logits_RV[2], full([13, 17, 19, 22])[-1])


def test_sources_are_looked_up_where_they_are_of_the_tokens_that_are_written() -> None:
    two = translator("two alphabets")
    one = replace(two, target=None)
    assert [_shares_tokens(loaded) for loaded in (one, two)] == [True, False]
    assert not _shares_tokens(replace(one, model=translator("x", source_vocab_size=9).model))
    for shape, shares in (("decoder", False), ("encoder-decoder", True)):
        assert _shares_tokens(replace(two, model=tiny_model(shape))) is shares
