"""Forms of published tensors: a worked example, and each is undone by its inverse."""

import pytest
import torch

from transformer.errors import ConfigError
from transformer.families.forms import FORMS


def test_pairs_by_hand() -> None:
    """Two heads of width 4: halves (0, 1 | 2, 3) become neighbours (0, 2), (1, 3)."""
    rows = torch.tensor([0, 1, 2, 3, 10, 11, 12, 13])
    published = FORMS["^pairs"].to_published(rows, 4)
    assert published.tolist() == [0, 2, 1, 3, 10, 12, 11, 13]


@pytest.mark.parametrize("width", [2, 4, 6])
def test_rotated_neighbours_are_rotated_halves(width: int) -> None:
    """arXiv 2104.09864, equation 34: the pair (2i, 2i + 1) turns as (i, i + K/2) does here."""
    ours = torch.arange(2 * width)
    published = FORMS["^pairs"].to_published(ours, width).reshape(2, -1, 2)
    halves = ours.reshape(2, 2, -1)
    assert torch.equal(published[..., 0], halves[:, 0])
    assert torch.equal(published[..., 1], halves[:, 1])


@pytest.mark.parametrize(("name", "shape"), [(n, (12, 5)) for n in FORMS] + [("^pairs", (12,))])
def test_a_form_is_undone(name: str, shape: tuple[int, ...]) -> None:
    form, ours = FORMS[name], torch.randn(shape)
    assert torch.equal(form.from_published(form.to_published(ours, 6), 6), ours)


def test_an_odd_width_has_no_pairs() -> None:
    with pytest.raises(ConfigError, match="needs an even head width, not 3"):
        FORMS["^pairs"].to_published(torch.zeros(9), 3)
