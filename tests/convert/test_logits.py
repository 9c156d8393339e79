"""Every family gives the numbers that transformers gives, whatever its options."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from checkpoints.convert import CONVERTERS, MODEL_TYPE
from tests.convert.published import CASES, FAMILIES, make, padded
from transformer.loading import build, describe
from transformer.masks import padded_positions
from transformer.model import Transformer


def test_no_family_is_without_models() -> None:
    assert FAMILIES.keys() == CONVERTERS.keys() - {MODEL_TYPE}


@pytest.mark.parametrize(("name", "number"), CASES)
@torch.no_grad()
def test_logits_are_those_of_transformers(name: str, number: int, tmp_path: Path) -> None:
    reference = make(name, number, tmp_path)
    model = build(describe(tmp_path))
    texts, lengths_B = padded(3, 12, avoid=reference.config.pad_token_id)
    ours, theirs = _logits(model, reference, texts, lengths_B)
    for row, length in enumerate(lengths_B):
        torch.testing.assert_close(ours[row, :length], theirs[row, :length], atol=1e-4, rtol=0)


def _logits(
    model: Transformer, reference: Any, ids_BT: Tensor, lengths_B: Tensor
) -> tuple[Tensor, Tensor]:
    """Ours and theirs; an encoder-decoder reads the padded texts and writes others."""
    positions_BT = padded_positions(lengths_B, ids_BT.size(1))
    mask = (positions_BT >= 0).long()
    if model.config.shape != "encoder-decoder":
        ours = model(ids_BT, positions_BT=positions_BT)
        return ours, reference(input_ids=ids_BT, attention_mask=mask).logits
    pad = reference.config.pad_token_id
    targets_BT, target_lengths_B = padded(len(ids_BT), ids_BT.size(1), avoid=pad)
    target_positions_BT = padded_positions(target_lengths_B, ids_BT.size(1))
    ours = model(
        targets_BT,
        positions_BT=target_positions_BT,
        source_BS=ids_BT,
        source_positions_BS=positions_BT,
    )
    theirs = reference(
        input_ids=ids_BT,
        attention_mask=mask,
        decoder_input_ids=targets_BT,
        decoder_attention_mask=(target_positions_BT >= 0).long(),
    ).logits
    return ours, theirs
