"""Logits of a text, alone and in batches, to the bit."""

from functools import partial

import pytest
import torch

from tests.models import VOCABULARY, tiny_model
from transformer.decoding import ModelStepper, Request
from transformer.kernels import LINEAR_KERNELS, pack_model, packing, rounds_inputs


def requests(shape: str, lengths: list[int]) -> list[Request]:
    """Texts of so many source or prompt tokens; one of a length is the same in each batch."""
    made = []
    for length in lengths:
        generator = torch.Generator().manual_seed(length)
        ids = torch.randint(4, VOCABULARY, (length,), generator=generator).tolist()
        texts = {"prompt": [2], "source": ids} if shape == "encoder-decoder" else {"prompt": ids}
        made.append(Request(**texts, max_new_tokens=5))
    return made


def logits(model, shape: str, lengths: list[int]) -> list[torch.Tensor]:
    """The logits (R, V) of five steps."""
    stepper = ModelStepper(model)
    stepper.admit(requests(shape, lengths))
    return [stepper.step(torch.full((len(lengths),), 5 + step)) for step in range(5)]


@pytest.mark.parametrize("name", list(LINEAR_KERNELS))
@pytest.mark.parametrize("shape", ["decoder", "encoder-decoder"])
# Heads are 32 wide and 16 wide: attention goes two ways.
@pytest.mark.parametrize(
    ("attention", "heads"), [("full", 2), ("full", 4), ("sliding", 2), ("linear", 4)]
)
@torch.inference_mode()
def test_a_text_does_not_depend_on_its_neighbours(
    monkeypatch, name, shape, attention, heads
) -> None:
    """Nor on how long they are: a unit of int8 is decided by the last bit of a sum.

    In kernels that round no inputs a text's logits may differ by its last bits.
    """
    monkeypatch.setattr(packing, "SMALL", 0)
    fields = {"attention": attention, "heads": heads, "window": 16, "positions": "rotary"}
    model = tiny_model(shape, d_model=64, d_ff=96, max_positions=64, **fields)
    pack_model(model.requires_grad_(False), LINEAR_KERNELS[name])
    same = torch.equal if rounds_inputs(model) else partial(torch.allclose, atol=1e-5)
    lengths = [3, 11, 30, 16, 17]
    for alone in lengths:
        wanted = logits(model, shape, [alone])
        for batch in ([alone, 2], [alone, 30, 30, 29], [alone, *lengths]):
            found = logits(model, shape, batch)
            pairs = zip(found, wanted, strict=True)
            assert all(same(one[0], other[0]) for one, other in pairs)
