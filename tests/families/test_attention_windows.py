"""Longformer and LED beside transformers: global tokens anywhere, windows by layer, refusals."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from checkpoints import CheckpointError
from tests.families.published import FAMILIES, VOCABULARY, make, padded, randomize
from tests.families.test_families import Files, read
from transformer.export.published import published_family
from transformer.families import FAMILIES as READERS
from transformer.inputs import ModelInputs
from transformer.layer_spec import LayerSpec
from transformer.loading import build_model, inspect_folder
from transformer.masks import padded_positions

LENGTHS = (1, 7, 12, 31)  # no multiples of any window, a multiple, and more than there are blocks
# Of three rows; the last ones are shorter by two tokens each.
GLOBALS = {
    "none": [[-1], [-1], [-1]],
    "first": [[0], [0], [0]],
    "some": [[0, 3, -1], [4, -1, -1], [-1, -1, -1]],
    "many": [[1, 2, 3, 0], [3, 2, 1, 0], [0, -1, 1, -1]],
}


def mask_of(global_tokens_BG: Tensor, ids_BT: Tensor) -> Tensor:
    mask_BT = torch.zeros_like(ids_BT)
    for row, indices in enumerate(global_tokens_BG.tolist()):
        mask_BT[row, [index for index in indices if index >= 0]] = 1
    return mask_BT


def batch(length: int, name: str, pad: int) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, positions and global tokens, of which none stands beyond its text."""
    ids_BT, lengths_B = padded(3, length, avoid=pad)
    lengths_B = lengths_B.clamp(min=1)
    ids_BT[:, 0] = 5
    positions_BT = padded_positions(lengths_B, length)
    given = torch.tensor(GLOBALS[name])
    return ids_BT, positions_BT, given.masked_fill(given >= lengths_B[:, None], -1)


CASES = [(name, n) for name in ("longformer", "led") for n in range(len(FAMILIES[name].variants))]


@pytest.mark.parametrize("name", GLOBALS)
@pytest.mark.parametrize(("family", "number"), CASES)
@torch.no_grad()
def test_logits_are_those_of_transformers(
    family: str, number: int, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformer.attention.banded.MIN_BLOCK", 8)
    reference = make(family, number, tmp_path)
    model = build_model(inspect_folder(tmp_path))
    for length in LENGTHS:
        ids_BT, positions_BT, given = batch(length, name, reference.config.pad_token_id)
        asked = {"input_ids": ids_BT, "attention_mask": (positions_BT >= 0).long()}
        if name != "none":  # without a mask there are none
            asked["global_attention_mask"] = mask_of(given, ids_BT)
        inputs, real = ModelInputs(ids_BT, positions_BT, global_tokens_BG=given), positions_BT >= 0
        if family == "led":
            inputs, real = ModelInputs(ids_BT[:, :7], source=inputs), slice(None)
            asked["decoder_input_ids"] = ids_BT[:, :7]
        ours, theirs = model(inputs), reference(**asked).logits
        torch.testing.assert_close(ours[real], theirs[real], atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "name",
    ["LongformerModel", "LongformerForSequenceClassification", "LongformerForTokenClassification"],
)
@torch.no_grad()
def test_other_classes_give_what_transformers_gives(name: str, tmp_path: Path) -> None:
    """The first token is global: to classify texts, as transformers has it without a mask."""
    torch.manual_seed(1)
    sizes = {**FAMILIES["longformer"].sizes, "vocab_size": VOCABULARY, "num_labels": 3}
    reference = getattr(transformers, name)(transformers.LongformerConfig(**sizes))
    randomize(reference)
    reference.eval().save_pretrained(tmp_path)
    model = build_model(inspect_folder(tmp_path))
    ids_BT, positions_BT, given = batch(12, "first", 1)
    asked: dict[str, Any] = {"input_ids": ids_BT, "attention_mask": (positions_BT >= 0).long()}
    if "Sequence" not in name:
        asked["global_attention_mask"] = mask_of(given, ids_BT)
    found = reference(**asked)
    theirs = found.last_hidden_state if name == "LongformerModel" else found.logits
    ours = model(ModelInputs(ids_BT, positions_BT))
    if ours.dim() == 3:
        ours, theirs = ours[positions_BT >= 0], theirs[positions_BT >= 0]
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("given", "window", "layers"),
    [
        (6, 4, None),
        ([6, 6, 6, 6], 4, None),
        ([2, 6, 2, 6], 4, (LayerSpec(window=2), LayerSpec(window=4))),
        ([2, 6, 6, 6], 4, tuple(LayerSpec(window=window) for window in (2, 4, 4, 4))),
    ],
)
def test_a_window_is_half_of_it_on_each_side(given: Any, window: int, layers: Any) -> None:
    config = read("longformer", Files(), attention_window=given, num_hidden_layers=4)
    assert (config.attention, config.window, config.layers) == ("longformer", window, layers)
    written = READERS["longformer"].write(config)["attention_window"]
    assert written == (given if isinstance(given, list) else [given] * 4)
    assert published_family(config) == "longformer"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"attention_window": 5}, "attention_window is 5; it must be an even number above 0"),
        ({"attention_window": 0}, "attention_window is 0; it must be an even number above 0"),
        ({"attention_window": [4, True]}, "attention_window is True; it must be"),
        ({"attention_window": [4]}, "attention_window has 1 entry; there are 2 layers"),
        ({"attention_mode": "tvm"}, "attention_mode is 'tvm', which is not supported"),
        ({"ignore_attention_mask": True}, "ignore_attention_mask is True, which is not"),
    ],
)
def test_windows_that_cannot_be_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        read("longformer", Files(), num_hidden_layers=2, **options)


def test_a_window_of_one_token_stays_ours() -> None:
    config = read("longformer", Files(), attention_window=2, num_hidden_layers=2)
    fields = {name: getattr(config, name) for name in config.__struct_fields__}
    assert published_family(type(config)(**{**fields, "window": 1})) is None


def test_a_decoder_has_positions_of_its_own_number(tmp_path: Path) -> None:
    make("led", 0, tmp_path)
    config = inspect_folder(tmp_path).config
    assert (config.max_positions, config.target_positions) == (40, 36)
    weights = build_model(inspect_folder(tmp_path)).state_dict()
    rows = [len(weights[f"{s}.positions.embedding.weight"]) for s in ("encoder", "decoder")]
    assert rows == [40, 36]
    make("led", 4, tmp_path / "same")
    assert inspect_folder(tmp_path / "same").config.max_target_positions is None
