"""Every family gives the numbers that transformers gives, whatever its options."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.families.published import CASES, FAMILIES, first_is_global, make, padded
from tests.models import model_inputs
from transformer import families
from transformer.data import IGNORE, Batch
from transformer.evaluation import likelihood
from transformer.loading import build_model, inspect_folder
from transformer.masks import padded_positions
from transformer.model import Transformer


def test_no_family_is_without_models() -> None:
    assert FAMILIES.keys() == families.FAMILIES.keys() - {families.MODEL_TYPE}


@pytest.mark.parametrize(("name", "number"), CASES)
@torch.no_grad()
def test_logits_are_those_of_transformers(name: str, number: int, tmp_path: Path) -> None:
    reference = make(name, number, tmp_path)
    model = build_model(inspect_folder(tmp_path))
    texts, lengths_B = padded(3, 12, avoid=reference.config.pad_token_id)
    ours, theirs = _logits(model, reference, texts, lengths_B)
    for row, length in enumerate(lengths_B):
        torch.testing.assert_close(ours[row, :length], theirs[row, :length], atol=1e-4, rtol=0)


WRITERS = [case for case in CASES if "MaskedLM" not in FAMILIES[case[0]].model]


@pytest.mark.parametrize(("name", "number"), WRITERS)
@torch.no_grad()
def test_perplexities_are_those_of_transformers(name: str, number: int, tmp_path: Path) -> None:
    """Padded texts; theirs is the loss that they train on."""
    reference = make(name, number, tmp_path)
    model, pad = build_model(inspect_folder(tmp_path)), reference.config.pad_token_id
    texts_BT, lengths_B = padded(3, 12, avoid=pad)
    positions_BT = padded_positions(lengths_B, 12)
    labels_BT = texts_BT.masked_fill(positions_BT < 0, IGNORE)
    asked: dict[str, Any] = {"input_ids": texts_BT, "attention_mask": (positions_BT >= 0).long()}
    read_BT, source = texts_BT[:, :-1], {}
    targets_BT = labels_BT[:, 1:]  # they shift the labels of decoders themselves
    if model.config.shape == "encoder-decoder":
        asked |= {"decoder_input_ids": texts_BT, **first_is_global(reference, texts_BT)}
        read_BT, targets_BT = texts_BT, labels_BT
        source = {"source_BS": texts_BT, "source_positions_BS": positions_BT}
    batch = Batch(
        inputs=model_inputs(read_BT, **source),
        targets=targets_BT,
        predicted_N=(targets_BT != IGNORE).flatten().nonzero()[:, 0],
        num_targets=int((targets_BT != IGNORE).sum()),
        rows=np.arange(len(lengths_B)),
    )
    wanted = reference(labels=labels_BT, **asked).loss.exp()
    found = likelihood(model, [batch])
    assert found.perplexity == pytest.approx(float(wanted), rel=1e-4)


def test_shards_and_pickles_hold_the_same_weights(tmp_path: Path) -> None:
    reference = make("marian", 0, tmp_path / "whole")
    wanted = build_model(inspect_folder(tmp_path / "whole")).state_dict()
    reference.save_pretrained(tmp_path / "shards", max_shard_size="8KB")
    shutil.copytree(tmp_path / "whole", tmp_path / "pickle")
    (tmp_path / "pickle" / "model.safetensors").unlink()
    torch.save(reference.state_dict(), tmp_path / "pickle" / "pytorch_model.bin")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    for folder in ("shards", "pickle"):
        found = build_model(inspect_folder(tmp_path / folder)).state_dict()
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[key], wanted[key]) for key in wanted)


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16])
def test_weights_come_in_the_type_that_is_wanted(stored: torch.dtype, tmp_path: Path) -> None:
    reference = make("llama", 1, tmp_path).to(stored)
    reference.save_pretrained(tmp_path)
    for wanted in (torch.float32, torch.bfloat16):
        model = build_model(inspect_folder(tmp_path), dtype=wanted)
        assert {weight.dtype for weight in model.parameters()} == {wanted}
        embedding = reference.get_input_embeddings().weight
        assert torch.equal(model.embedding.weight, embedding.to(wanted))


def _logits(
    model: Transformer, reference: Any, ids_BT: Tensor, lengths_B: Tensor
) -> tuple[Tensor, Tensor]:
    """Ours and theirs; an encoder-decoder reads the padded texts and writes others."""
    positions_BT = padded_positions(lengths_B, ids_BT.size(1))
    mask = (positions_BT >= 0).long()
    if model.config.shape != "encoder-decoder":
        ours = model(model_inputs(ids_BT, positions_BT=positions_BT))
        more = first_is_global(reference, ids_BT)
        return ours, reference(input_ids=ids_BT, attention_mask=mask, **more).logits
    pad = reference.config.pad_token_id
    targets_BT, target_lengths_B = padded(len(ids_BT), ids_BT.size(1), avoid=pad)
    target_positions_BT = padded_positions(target_lengths_B, ids_BT.size(1))
    ours = model(
        model_inputs(
            targets_BT,
            positions_BT=target_positions_BT,
            source_BS=ids_BT,
            source_positions_BS=positions_BT,
        )
    )
    theirs = reference(
        input_ids=ids_BT,
        attention_mask=mask,
        decoder_input_ids=targets_BT,
        decoder_attention_mask=(target_positions_BT >= 0).long(),
        **first_is_global(reference, ids_BT),
    ).logits
    return ours, theirs
