"""Documents packed into one row: each is as it would be alone."""

import itertools

import pytest
import torch

from tests.models import VOCABULARY, tiny_model
from transformer.attention.banded import MIN_BLOCK
from transformer.inputs import ModelInputs
from transformer.positions import POSITIONS

LENGTHS = [5, 1, 7]
VARIANTS = [
    dict(shape=shape, positions=positions, **attention)
    for shape, positions, attention in itertools.product(
        ("decoder", "encoder"),
        POSITIONS,
        (
            {},
            dict(attention="sliding", window=3, global_tokens=1),
            dict(attention="strided", stride=3),
            dict(attention="fixed", stride=3, summary_tokens=1),
        ),
    )
]


def packed(documents: list[torch.Tensor], *, padding: int = 0) -> ModelInputs:
    def row(parts: list[torch.Tensor], fill: int) -> torch.Tensor:
        return torch.cat([*parts, torch.full((padding,), fill)])[None]

    return ModelInputs(
        row(documents, 0),
        row([torch.arange(len(document)) for document in documents], -1),
        segments_BT=row([torch.full_like(d, n) for n, d in enumerate(documents)], -1),
    )


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: "-".join(map(str, v.values())))
@torch.no_grad()
def test_each_document_is_as_it_would_be_alone(variant: dict[str, object]) -> None:
    model = tiny_model(**variant)
    documents = [torch.randint(0, VOCABULARY, (length,)) for length in LENGTHS]
    together_BTV = model(packed(documents, padding=2))
    alone = torch.cat([model(ModelInputs(document[None]))[0] for document in documents])
    torch.testing.assert_close(together_BTV[0, : sum(LENGTHS)], alone, atol=1e-5, rtol=0)
    assert together_BTV.isfinite().all()


@torch.no_grad()
def test_documents_longer_than_the_blocks_of_a_window_stay_apart() -> None:
    model = tiny_model(shape="decoder", positions="rotary", attention="sliding", window=8)
    documents = [torch.randint(0, VOCABULARY, (length,)) for length in (3 * MIN_BLOCK, MIN_BLOCK)]
    together_BTV = model(packed(documents))
    alone = torch.cat([model(ModelInputs(document[None]))[0] for document in documents])
    torch.testing.assert_close(together_BTV[0], alone, atol=1e-5, rtol=0)


def test_a_decoder_sees_all_of_its_source() -> None:
    model = tiny_model(shape="encoder-decoder")
    source = ModelInputs(torch.tensor([[3, 4, 5]]))
    documents = [torch.tensor([6, 7, 8]), torch.tensor([9, 10])]
    together_BTV = model(packed(documents)._replace(source=source))
    alone = torch.cat([model(ModelInputs(d[None], source=source))[0] for d in documents])
    torch.testing.assert_close(together_BTV[0], alone, atol=1e-5, rtol=0)


def test_segments_go_where_the_inputs_go() -> None:
    inputs = packed([torch.tensor([3, 4]), torch.tensor([5])])
    moved = inputs.map(lambda tensor: tensor + 1)
    assert moved.segments_BT is not None
    assert moved.segments_BT.tolist() == [[1, 1, 2]]
