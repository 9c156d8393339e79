"""Masks in texts, filled in by a masked language model.

Shape suffixes: B texts, T tokens, D d_model, M masks of all texts, V vocabulary.
"""

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from tokenizer import Tokenizer

from ..data import pad_rows
from ..finite import require_finite
from ..loading import LoadedModel


@torch.inference_mode()
def mask_logits(loaded: LoadedModel, rows: Sequence[Sequence[int]]) -> list[Tensor]:
    """Return the logits (its masks, V) of each row of ids, which includes its special tokens."""
    mask_id = loaded.tokenizer.require_role("mask")
    inputs = pad_rows(rows, loaded.device)
    assert inputs.positions_BT is not None
    is_mask_BT = (inputs.ids_BT == mask_id) & (inputs.positions_BT >= 0)
    hidden_MD = loaded.model.hidden(inputs)[is_mask_BT]
    logits_MV = require_finite(loaded.model.logits(hidden_MD[None])[0].float())
    return list(torch.split(logits_MV, is_mask_BT.sum(dim=1).tolist()))


def fill_ids(loaded: LoadedModel, ids: Sequence[int]) -> list[int]:
    """Return the ids of a text, without its special tokens, with each mask's likeliest token."""
    before, after = loaded.special_affixes
    mask_id = loaded.tokenizer.require_role("mask")
    (logits,) = mask_logits(loaded, [[*before, *ids, *after]])
    best = iter(logits.argmax(dim=-1).tolist())
    return [next(best) if token_id == mask_id else token_id for token_id in ids]


def show_masks(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """Return the text of ids with its masks by name, each with a space before it."""
    name = tokenizer.token(tokenizer.require_role("mask")) or ""
    text = tokenizer.decode(ids, skip_special=False)
    return re.sub(f" *{re.escape(name)}", f" {name}", text).strip()
