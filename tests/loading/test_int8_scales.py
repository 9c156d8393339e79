"""Matrices of int8 with their scales, as a folder has them."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from checkpoints import CheckpointError, Weights

W_RC = torch.tensor([[1, -2], [127, -128], [0, 5]], dtype=torch.int8)
SCALE_R = torch.tensor([0.5, 2.0, 0.0])


def weights(folder: Path, scale_R: Tensor = SCALE_R, w_RC: Tensor = W_RC) -> Weights:
    tensors = {"w": w_RC, "w.scale": scale_R, "other": torch.ones(2)}
    save_file(tensors, folder / "model.safetensors")
    return Weights(folder).with_scales()


def test_each_row_has_its_scale(tmp_path: Path) -> None:
    read = weights(tmp_path)
    assert read.is_quantized
    assert [*read] == ["other", "w"]
    assert read.elements == 2 + 6
    wanted = torch.tensor([[0.5, -1.0], [254.0, -256.0], [0.0, 0.0]])
    assert torch.equal(read.tensor("w"), wanted)
    stored = read.as_stored("w")
    assert stored.is_quantized
    assert torch.equal(stored.int_repr(), W_RC)
    assert torch.equal(stored.dequantize(), wanted)
    assert torch.equal(read.as_stored("other"), torch.ones(2))


def test_without_scales_integers_are_no_weights(tmp_path: Path) -> None:
    weights(tmp_path)
    plain = Weights(tmp_path)
    assert not plain.is_quantized
    with pytest.raises(CheckpointError, match=r"w is not of float32, .* quantized weights are not"):
        plain.tensor("w")


@pytest.mark.parametrize(
    ("scale_R", "told"),
    [
        (SCALE_R[:2], r"w is \(3, 2\) in int8, .* in w\.scale, and that is \(2,\) in float32"),
        (SCALE_R.double(), r"that is \(3,\) in float64"),
    ],
)
def test_scales_that_do_not_fit_are_told_before_any_is_read(tmp_path: Path, scale_R, told) -> None:
    with pytest.raises(CheckpointError, match=told):
        weights(tmp_path, scale_R)


@pytest.mark.parametrize("shape", [(3,), (3, 1, 2)])
def test_only_matrices_are_of_int8(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(CheckpointError, match=r"w is .* in int8, which needs"):
        weights(tmp_path, w_RC=torch.ones(shape, dtype=torch.int8))


@pytest.mark.parametrize("value", [-0.5, torch.nan, torch.inf, 1e38])
@pytest.mark.parametrize("read", [Weights.tensor, Weights.as_stored])
def test_numbers_that_are_no_scales_are_told(tmp_path: Path, value: float, read) -> None:
    damaged = weights(tmp_path, torch.tensor([1.0, value, 1.0]))
    with pytest.raises(CheckpointError, match=r"w\.scale has numbers that are no scales"):
        read(damaged, "w")
