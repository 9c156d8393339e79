"""Forms: how published files store a tensor of ours that they have otherwise than it is here."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from ..errors import ConfigError

Change = Callable[[Tensor, int], Tensor]  # of a tensor, and the width of a head


class Form(NamedTuple):
    """The two changes between a tensor of ours and a published one, each the other's inverse."""

    to_published: Change
    from_published: Change
    # True for an order of a linear map's outputs: that of its bias, and of an update's, too.
    of_outputs: bool = False
    is_transposed: bool = False  # a matrix is stored as (inputs, outputs), as GPT-2's


def _as_it_is(tensor: Tensor, _width: int) -> Tensor:
    return tensor


def _transposed(tensor: Tensor, _width: int) -> Tensor:
    return tensor.t()


def _interleave(tensor: Tensor, width: int) -> Tensor:
    """Return rows of heads whose pairs (i, i + K/2) stand at (2i, 2i + 1)."""
    return _swapped(tensor, 2, _pairs(width))


def _separate(tensor: Tensor, width: int) -> Tensor:
    """Return rows of heads whose pairs (2i, 2i + 1) stand at (i, i + K/2)."""
    return _swapped(tensor, _pairs(width), 2)


def _swapped(tensor: Tensor, slow: int, fast: int) -> Tensor:
    """Return the rows of each head, which count through `slow` and `fast`, in the other order."""
    rows = tensor.reshape(-1, slow, fast, *tensor.shape[1:])
    return rows.transpose(1, 2).reshape(tensor.shape)


def _pairs(width: int) -> int:
    if width % 2:
        raise ConfigError(f"it rotates pairs, and needs an even head width, not {width}")
    return width // 2


# By the marks of a name map.
FORMS: dict[str, Form] = {
    "": Form(_as_it_is, _as_it_is),
    "^T": Form(_transposed, _transposed, is_transposed=True),
    "^row": Form(lambda tensor, _width: tensor[None], lambda tensor, _width: tensor[0]),
    "^pairs": Form(_interleave, _separate, of_outputs=True),
}
