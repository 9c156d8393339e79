"""Phi-3's texts of any length in one batch: each has the frequencies that it has alone."""

from pathlib import Path

import pytest
import torch

from tests.families.published import VOCABULARY, edit, make
from tests.models import model_inputs
from transformer.loading import build_model, inspect_folder
from transformer.masks import padded_positions
from transformer.model import Transformer

CONTEXT = 6  # of short texts


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Transformer, torch.nn.Module]:
    """The network with factors for short and for long texts, ours and transformers'."""
    kind = type(make("phi3", 3, tmp_path))
    edit(tmp_path / "config.json", original_max_position_embeddings=CONTEXT)
    return build_model(inspect_folder(tmp_path)), kind.from_pretrained(tmp_path).eval()


@torch.no_grad()
def test_a_text_has_the_factors_of_its_own_length(
    sides: tuple[Transformer, torch.nn.Module],
) -> None:
    """transformers' have them alone; in a batch, all have the longest's."""
    model, reference = sides
    lengths = (CONTEXT - 1, CONTEXT, CONTEXT + 1, 12)
    ids_BT = torch.randint(4, VOCABULARY, (len(lengths), max(lengths)))
    positions_BT = padded_positions(torch.tensor(lengths), max(lengths))
    found = model(model_inputs(ids_BT, positions_BT=positions_BT))
    for row, length in enumerate(lengths):
        wanted = reference(input_ids=ids_BT[row : row + 1, :length]).logits[0]
        torch.testing.assert_close(found[row, :length], wanted, atol=1e-4, rtol=0)
    short = lengths[0]
    together = reference(input_ids=ids_BT, attention_mask=(positions_BT >= 0).long()).logits
    assert float((found[0, :short] - together[0, :short]).abs().max()) > 1e-2


@torch.no_grad()
def test_a_text_that_outgrows_the_context_keeps_its_keys(
    sides: tuple[Transformer, torch.nn.Module],
) -> None:
    """They have been rotated as a short text's; only what is new is as in a long one."""
    model, _ = sides
    ids_1T = torch.randint(4, VOCABULARY, (1, CONTEXT + 1))
    by_token, at_once = (model.new_cache(1, CONTEXT + 1) for _ in range(2))
    for position in range(CONTEXT):
        model.decode(ids_1T[:, [position]], torch.tensor([[position]]), by_token, position + 1)
    model.decode(ids_1T[:, :CONTEXT], torch.arange(CONTEXT)[None], at_once, CONTEXT)
    last = (ids_1T[:, CONTEXT:], torch.tensor([[CONTEXT]]))
    found, wanted = (model.decode(*last, cache, CONTEXT + 1) for cache in (by_token, at_once))
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)
    whole = model(model_inputs(ids_1T))[:, -1]
    assert float((model.logits(found)[:, 0] - whole).abs().max()) > 1e-2
