"""Tensors of a file that fit a configuration, under all their names, and those that do not."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from checkpoints import CheckpointError, Weights, save_tensors
from tests.models import tiny_config
from transformer.config_fields import config_to_fields
from transformer.families.family import Family
from transformer.families.name_map import NameMap

CONFIG = tiny_config(heads=2, kv_heads=1)
SHAPES = {name: torch.Size(shape) for name, shape in {"a.weight": (4, 3), "n.weight": (3,)}.items()}
TEXT = "a = {q,k,v} \nn = norm | twin or spare"


def load(folder: Path, tensors: Mapping[str, Tensor], text: str = TEXT) -> dict[str, Tensor]:
    """What a family makes of some tensors: a of three parts with 2, 1 and 1 rows, and n."""
    save_tensors(folder / "model.safetensors", tensors)
    family = Family(
        read=lambda *_: CONFIG,
        write=config_to_fields,
        names=lambda _: NameMap(text),
        ignored=("extra.*",),
    )
    return dict(family.load(family.rename(Weights(folder)), CONFIG, SHAPES, torch.float32))


def parts(**changes: Tensor | None) -> dict[str, Tensor]:
    rows = torch.arange(12.0).view(4, 3)
    found = {"q.weight": rows[:2], "k.weight": rows[2:3], "v.weight": rows[3:]}
    found["norm.weight"] = torch.tensor([1.0, 2, 3])
    named = {**found, **{name.replace("_", "."): tensor for name, tensor in changes.items()}}
    return {name: tensor.contiguous() for name, tensor in named.items() if tensor is not None}


THREE = torch.tensor([1.0, 2, 3])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"extra_thing": torch.ones(1)},
        {"twin_weight": THREE},
        {"norm_weight": None, "twin_weight": THREE},
        {"norm_weight": None, "spare_weight": THREE},
        {"spare_weight": torch.zeros(3)},  # which counts where the other is absent alone
        {"norm_weight": None, "norm_gamma": THREE},
    ],
    ids=str,
)
def test_tensors_are_found_under_all_their_names(tmp_path: Path, changes: dict) -> None:
    found = load(tmp_path, parts(**changes))
    assert torch.equal(found["a.weight"], torch.arange(12.0).view(4, 3))
    assert torch.equal(found["n.weight"], THREE)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"twin_weight": torch.tensor([1.0, 2, 4])}, "norm.weight and twin.weight should be one"),
        ({"other_weight": torch.ones(1)}, "they have other.weight, which is unknown"),
        ({"k_weight": None}, "they lack k.weight"),
        ({"norm_weight": None}, "they lack norm.weight"),
        ({"norm_weight": torch.ones(4)}, r"norm.weight is \(4,\); expected \(3,\)"),
        ({"k_weight": torch.ones(2, 3), "q_weight": torch.ones(1, 3)}, "expected 2 rows"),
        ({"k_weight": torch.ones(2, 3)}, "k.weight is .*; expected 1 rows"),
        ({"k_weight": torch.ones(1, 4)}, "expected .* of all parts"),
        ({"k_weight": torch.ones(())}, "expected 1 rows"),
        ({"norm_weight": torch.ones(())}, r"norm.weight is \(\); expected \(3,\)"),
        ({"norm_weight": None, "norm_beta": THREE}, "they lack norm.weight"),
    ],
    ids=str,
)
def test_tensors_that_do_not_fit_are_named(tmp_path: Path, changes: dict, words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        load(tmp_path, parts(**changes))
