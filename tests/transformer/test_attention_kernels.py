"""Kernels that tell log-sum-exps: the fused one where it may be, products elsewhere."""

import pytest
import torch

from transformer.attention import kernels
from transformer.attention.kernels import FusedKernel, PlainKernel, has_fused_kernel


@pytest.mark.parametrize("is_causal", [True, False])
def test_products_of_half_numbers_are_near(is_causal: bool) -> None:
    """As where there is no fused kernel: sums are in single precision."""
    shapes = ((2, 4, 5, 8), (2, 2, 5, 8), (2, 2, 5, 8), (2, 4, 5, 8))
    half = [torch.randn(shape).bfloat16() for shape in shapes]
    found, exact = [], []
    for results, sides in ((found, half), (exact, [x.float() for x in half])):
        q, k, v, grad = sides
        problem = kernels.Problem(q, k, v, None, is_causal, 0.4)
        out, lse, _ = PlainKernel().forward(problem, 0.0)
        results += [out, lse, *PlainKernel().backward(problem, grad.float(), out, lse, None)]
    assert found[0].dtype == found[1].dtype == torch.float32
    for one, other in zip(found, exact, strict=True):
        torch.testing.assert_close(one.float(), other, atol=5e-2, rtol=5e-2)


def test_products_take_over_where_weights_are_dropped_or_the_kernel_is_another(monkeypatch) -> None:
    cpu = torch.device("cpu")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert has_fused_kernel.__wrapped__()
    assert isinstance(kernels.choose_kernel(cpu, 0.0), FusedKernel)
    assert isinstance(kernels.choose_kernel(cpu, 0.1), PlainKernel)
    assert isinstance(kernels.choose_kernel(torch.device("meta"), 0.0), PlainKernel)
    forward = FusedKernel.forward

    def gone(*_):
        raise AttributeError("no such operator")

    def other(self, problem, dropout):
        out, lse, kept = forward(self, problem, dropout)
        return out, lse * 1.4427, kept  # of base 2

    for changed in (gone, other):
        monkeypatch.setattr(FusedKernel, "forward", changed)
        assert not has_fused_kernel.__wrapped__()
