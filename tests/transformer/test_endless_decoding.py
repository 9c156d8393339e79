"""A hundred thousand tokens, one after another: memory does not grow, and nothing drifts."""

import io

import pytest
import torch
from torch import Tensor

from tests.models import VOCABULARY, model_inputs, tiny_model
from transformer.model import DecoderCache, Transformer

STEPS, EVERY = 100_000, 997
WINDOW, SINKS = 5, 2
KINDS = {
    "sliding": {"window": WINDOW},
    "sliding with sinks": {"window": WINDOW, "global_tokens": SINKS},
    "linear": {},
    "linear-decay": {},
    "performer": {"random_features": 8},
    "ssru": {},
}


def stored(cache: DecoderCache) -> int:
    """Bytes of all that a cache keeps."""
    file = io.BytesIO()
    torch.save(cache.self_attention.parts, file)
    return len(file.getvalue())


def recomputed(model: Transformer, ids_T: Tensor, step: int) -> Tensor:
    """The state of a token, from all that two layers of windows see of the text."""
    seen = torch.arange(max(0, step - 2 * WINDOW), step + 1)
    sinks = torch.arange(min(SINKS, int(seen[0])))
    positions_T = torch.cat([sinks, seen])
    inputs = model_inputs(ids_T[positions_T][None], positions_BT=positions_T[None])
    return model.hidden(inputs)[0, -1]


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
@torch.inference_mode()
def test_a_hundred_thousand_tokens_are_as_the_first_ones(name: str) -> None:
    """Windows are computed anew with their mask now and then, sums once, from the whole text."""
    model = tiny_model(attention=name.split(maxsplit=1)[0], positions="rotary", **KINDS[name])
    ids_T = torch.randint(0, VOCABULARY, (STEPS,))
    cache, sizes = model.new_cache(1, STEPS), set()
    for step in range(STEPS):
        position = torch.tensor([[step]])
        state_BTD = model.decode(ids_T[None, step : step + 1], position, cache, step + 1)
        if step % EVERY == 0:
            sizes.add(stored(cache))
            if "sliding" in name:
                wanted_D = recomputed(model, ids_T, step)
                torch.testing.assert_close(state_BTD[0, -1], wanted_D, atol=1e-5, rtol=1e-5)
    assert len(sizes) == 1
    if "sliding" not in name:
        whole_D = model.hidden(model_inputs(ids_T[None]))[0, -1]
        torch.testing.assert_close(state_BTD[0, -1], whole_D, atol=1e-3, rtol=1e-3)
