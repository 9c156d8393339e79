"""Kernels of linear maps: what they compute, and of what it does not depend."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from transformer.kernels import LINEAR_KERNELS, PackedLinear, is_usable, linear
from transformer.kernels.linear import padded_rows

every_kernel = pytest.mark.parametrize("name", list(LINEAR_KERNELS))


@every_kernel
@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_a_map_is_that_of_the_rounded_weights(name, bias) -> None:
    kernel, plain = LINEAR_KERNELS[name], nn.Linear(70, 37, bias=bias)
    packed = PackedLinear(plain.weight, plain.bias, kernel)
    assert packed.out_features == 37
    for shape in ((1, 1), (1, 5), (3, 1), (70, 1), (2, 40), (7,), (0, 1)):
        x = torch.randn(*shape, 70)
        found, wanted = packed(x), F.linear(x, kernel.rounded(plain.weight), plain.bias)
        assert found.shape == wanted.shape
        assert ((found - wanted).norm(dim=-1) <= kernel.error * wanted.norm(dim=-1)).all()


@every_kernel
@torch.inference_mode()
def test_a_row_does_not_depend_on_its_neighbours(name) -> None:
    """To the bit; F.linear itself differs between one row and several."""
    plain = nn.Linear(96, 64)
    packed = PackedLinear(plain.weight, plain.bias, LINEAR_KERNELS[name])
    x_RI = torch.randn(160, 96) * torch.logspace(-3, 3, 160)[:, None]
    whole_RO = packed(x_RI)
    for rows in (1, 2, 3, 5, 8, 33, 100):
        assert torch.equal(packed(x_RI[:rows]), whole_RO[:rows])
        assert torch.equal(packed(x_RI[160 - rows :]), whole_RO[160 - rows :])


@pytest.mark.skipif(not is_usable("onednn", torch.bfloat16), reason="the processor has no bfloat16")
@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_onednn_computes_in_the_type_of_its_weights(bias) -> None:
    """In bfloat16 as F.linear does, and each row as it is alone."""
    plain = nn.Linear(64, 96, bias=bias).bfloat16()
    packed = PackedLinear(plain.weight, plain.bias, LINEAR_KERNELS["onednn"])
    x_RI = torch.randn(33, 64).bfloat16()
    torch.testing.assert_close(packed(x_RI), plain(x_RI), atol=0.02, rtol=0.02)
    assert packed(x_RI).dtype == torch.bfloat16
    for rows in (1, 5, 32):
        assert torch.equal(packed(x_RI[:rows]), packed(x_RI)[:rows])


@pytest.mark.parametrize("is_exact", [True, False])
def test_a_kernel_is_tried_in_the_type_of_the_model(monkeypatch, is_exact) -> None:
    class Rounding(type(LINEAR_KERNELS["onednn"])):
        def pack(self, weight_OI, bias_O):
            return weight_OI, bias_O

        def apply(self, x, packed):
            y = F.linear(x, *packed)
            y[..., : 1 if is_exact else None] *= 1 + 4 * torch.finfo(x.dtype).eps
            return y

    monkeypatch.setitem(LINEAR_KERNELS, "rounding", Rounding())
    is_usable.cache_clear()
    assert is_usable("rounding", torch.bfloat16) == is_exact
    is_usable.cache_clear()


@every_kernel
@torch.inference_mode()
def test_a_row_of_zeros_gives_the_bias(name) -> None:
    plain = nn.Linear(8, 5)
    packed = PackedLinear(plain.weight, plain.bias, LINEAR_KERNELS[name])
    x_RI = torch.stack([torch.zeros(8), torch.full((8,), 1e30)])
    assert torch.equal(packed(x_RI)[0], plain.bias)
    assert packed(x_RI).isfinite().all()


@every_kernel
@torch.inference_mode()
def test_what_is_no_number_stays_none(name) -> None:
    """A broken model is told by its outputs."""
    plain = nn.Linear(8, 5)
    x_RI = torch.ones(2, 8)
    x_RI[1, 3] = torch.nan
    found = PackedLinear(plain.weight, plain.bias, LINEAR_KERNELS[name])(x_RI)
    assert found[0].isfinite().all()
    assert found[1].isnan().all()


def test_integers_of_8_bits_are_worked_out_by_hand() -> None:
    """Weights of steps of 1/127 of an output's largest, inputs of 1/127 of a row's."""
    weight_OI = torch.tensor([[127.0, 64.0], [-2.0, 1.0]])
    kernel = LINEAR_KERNELS["int8"]
    assert kernel.rounded(weight_OI).tolist()[0] == [127.0, 64.0]
    assert kernel.rounded(weight_OI)[1].tolist() == pytest.approx([-2.0, 64 * 2 / 127])
    x_RI = torch.tensor([[10.0, 10 * 60 / 127]])
    found = kernel.apply(x_RI, kernel.pack(weight_OI, None))[0, 0].item()
    assert found == pytest.approx(10 * 127 + 64 * 10 * 60 / 127)


def test_every_row_has_a_scale_of_its_own() -> None:
    """Rows are rounded a thousand at a time."""
    weight_OI = torch.randn(2500, 8) * torch.linspace(0.1, 10, 2500)[:, None]
    errors_OI = (LINEAR_KERNELS["int8"].rounded(weight_OI) - weight_OI).abs()
    assert (errors_OI <= 0.501 / 127 * weight_OI.abs().amax(dim=1, keepdim=True)).all()


def test_rows_are_padded_to_few_numbers() -> None:
    """Each number compiles code of its own: four an octave, and never a third more."""
    sizes = [padded_rows(rows) for rows in range(1, 4097)]
    assert all(rows <= size <= max(rows, 1.25 * rows) for rows, size in enumerate(sizes, 1))
    assert len(set(sizes)) == 8 + 4 * 9
    assert padded_rows(0) == 0


@pytest.mark.parametrize("failure", ["missing", "wrong", "saturated"])
def test_kernels_are_tried_before_they_are_used(monkeypatch, failure) -> None:
    class Broken(linear.Int8Kernel):
        def apply(self, x, packed):
            if failure == "missing":
                raise NotImplementedError("no such operator")
            y = super().apply(x, packed)
            return y * 1.1 if failure == "wrong" else y.clamp(max=40.0)

    monkeypatch.setitem(LINEAR_KERNELS, "broken", Broken())
    assert not is_usable("broken")
    is_usable.cache_clear()


@pytest.mark.parametrize(("feature", "largest"), [(True, 127), (False, 63)])
def test_inputs_are_as_wide_as_the_processor_can_sum(monkeypatch, feature, largest) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_supported", lambda: True)
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: feature)
    linear._largest_input.cache_clear()
    assert linear._largest_input() == largest
    linear._largest_input.cache_clear()


@torch.inference_mode()
def test_a_machine_that_sums_two_products_in_16_bits_has_inputs_of_7(monkeypatch) -> None:
    monkeypatch.setattr(linear, "_largest_input", lambda: 63)
    x_RI, weight_OI = torch.randn(20, 64), torch.randn(9, 64)
    kernel = LINEAR_KERNELS["int8"]
    packed = kernel.pack(weight_OI, None)
    narrow, wanted = kernel.apply(x_RI, packed), F.linear(x_RI, kernel.rounded(weight_OI))
    monkeypatch.setattr(linear, "_largest_input", lambda: 127)
    errors = [(each - wanted).norm() for each in (kernel.apply(x_RI, packed), narrow)]
    assert 1.5 * errors[0] < errors[1] < kernel.error * wanted.norm()
