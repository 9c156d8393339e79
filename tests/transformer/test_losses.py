"""The chunked loss equals torch's, which holds all logits; and its worked example."""

import math

import pytest
import torch
from torch.nn import functional as F

from transformer import losses
from transformer.losses import projected_cross_entropy


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("cap", [None, 0.7])
def test_loss_and_gradients_equal_torchs(smoothing, biased, cap, monkeypatch) -> None:
    monkeypatch.setitem(losses.CHUNK_LOGITS, "cpu", 64)  # several chunks, the last one short
    x, w = torch.randn(23, 8, requires_grad=True), torch.randn(11, 8, requires_grad=True)
    b = torch.randn(11, requires_grad=True) if biased else None
    leaves = [x, w] if b is None else [x, w, b]
    targets = torch.randint(0, 11, (23,))
    loss, plain = projected_cross_entropy(x, w, b, targets, smoothing=smoothing, softcap=cap)
    logits = F.linear(x, w, b)
    logits = logits if cap is None else cap * (logits / cap).tanh()
    wanted = F.cross_entropy(logits, targets, label_smoothing=smoothing, reduction="sum")
    torch.testing.assert_close(loss, wanted)
    torch.testing.assert_close(plain, F.cross_entropy(logits, targets, reduction="sum").detach())
    assert loss.requires_grad
    assert not plain.requires_grad
    found = torch.autograd.grad(loss / 7, leaves)
    for ours, theirs in zip(found, torch.autograd.grad(wanted / 7, leaves), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


def test_smoothing_worked_by_hand() -> None:
    """Two tokens with p = 0.75 and 0.25, ε = 0.2: 0.9·(-ln 0.75) + 0.1·(-ln 0.25)."""
    x = torch.ones(1, 1)
    w = torch.tensor([[math.log(0.75)], [math.log(0.25)]])
    loss, plain = projected_cross_entropy(x, w, None, torch.tensor([0]), smoothing=0.2)
    assert loss.item() == pytest.approx(-0.9 * math.log(0.75) - 0.1 * math.log(0.25), abs=1e-6)
    assert plain.item() == pytest.approx(-math.log(0.75), abs=1e-6)


def test_autocast_multiplies_in_bfloat16_and_does_all_else_in_float32() -> None:
    x, w, targets = torch.randn(30, 8), torch.randn(50, 8), torch.randint(0, 50, (30,))
    exact, _ = projected_cross_entropy(x, w, None, targets)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        near, _ = projected_cross_entropy(x, w, None, targets)
    logits = (x.bfloat16() @ w.bfloat16().T).float()
    assert near.item() == pytest.approx(F.cross_entropy(logits, targets, reduction="sum").item())
    assert near.item() == pytest.approx(exact.item(), rel=0.01)
    assert near.item() != exact.item()
