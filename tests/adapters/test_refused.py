"""Adapter folders that are damaged, of another model or kind: each is told in one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from checkpoints import CheckpointError, save_tensors
from tests.adapters.sides import base_of
from tests.families.published import make
from transformer.adapters.peft_config import adapter_facts, read_peft_config
from transformer.adapters.peft_folder import read_adapter

Tensors = dict[str, Tensor]
Q = "base_model.model.model.layers.0.self_attn.q_proj"
LORA = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}


def tensors() -> Tensors:
    return {f"{Q}.lora_A.weight": torch.ones(2, 16), f"{Q}.lora_B.weight": torch.ones(16, 2)}


def write(folder: Path, stored: Tensors, **options: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps({**LORA, **options}))
    save_tensors(folder / "adapter_model.safetensors", stored)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base") / "llama"
    make("llama", 1, folder)  # tied, with two groups of keys
    return folder


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"peft_type": "IA3"}, "peft_type is 'IA3'; only LORA is read"),
        ({"bias": "lora_only"}, "bias is 'lora_only'; only none is supported"),
        ({"lora_bias": True}, "lora_bias is True, which is not supported"),
        ({"layer_replication": [[0, 4], [2, 5]]}, "layer_replication is .* not supported"),
        ({"trainable_token_indices": [1]}, "trainable_token_indices is .* not supported"),
        ({"brand_new": 1}, "brand_new is 1, which is not supported"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights is 'pissa', which changes the base"),
        ({"alpha_pattern": {"layers.*q": 3}}, "alpha_pattern has 'layers.*q', a regular"),
        ({"r": "many"}, r"adapter_config.json: Expected `int`"),
    ],
)
def test_options_that_are_not_supported_are_named(
    tmp_path: Path, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(CheckpointError, match=told):
        read_peft_config(write(tmp_path / "adapter", tensors(), **options))


def test_options_without_effect_may_be_set(tmp_path: Path) -> None:
    options = {"lora_bias": False, "brand_new": None, "megatron_core": "megatron.core"}
    more = {"layers_to_transform": [0], "task_type": "CAUSAL_LM", "init_lora_weights": "gaussian"}
    config = read_peft_config(write(tmp_path / "adapter", tensors(), **options, **more))
    assert (config.r, config.scale("a.q_proj", 2)) == (2, 2.0)


DAMAGED: list[tuple[Callable[[Tensors], object], dict[str, Any], str]] = [
    (lambda t: t.pop(f"{Q}.lora_B.weight"), {}, "lacks lora_B for model.layers.0.self_attn.q_proj"),
    (
        lambda t: t.update({f"{Q}.lora_B.bias": torch.ones(16)}),
        {},
        r"has model.layers.0.self_attn.q_proj.lora_B.bias, which the model does not have",
    ),
    (
        lambda t: t.update({f"{Q}.lora_embedding_A": torch.ones(2, 16)}),
        {},
        "has lora_embedding_A, which is not supported, for model.layers.0.self_attn.q_proj",
    ),
    (
        lambda t: t.update({f"{Q}.lora_magnitude_vector": torch.ones(16)}),
        {},
        "has lora_magnitude_vector, which is not supported",
    ),
    (lambda t: None, {"use_dora": True}, "lacks lora_magnitude_vector"),
    (
        lambda t: t.update({f"{Q}.lora_A.weight": torch.ones(2, 24)}),
        {"base_model_name_or_path": "owner/other"},
        r"lora_A of .*q_proj is \(2, 24\), and the model's is 16 × 16: it was made for owner/other",
    ),
    (
        lambda t: t.update({f"{Q}.lora_B.weight": torch.ones(8, 2)}),
        {},
        r"lora_B of .*q_proj is \(8, 2\), and the model's is 16 × 16: it was made for another",
    ),
    (lambda t: None, {"r": 3}, "q_proj has rank 2, and adapter_config.json says 3"),
    (
        lambda t: t.update({n.replace("layers.0", "layers.7"): v + 1 for n, v in [*t.items()]}),
        {},
        r"adapts model.layers.7.self_attn.q_proj, which the model does not have as a linear map",
    ),
    (
        lambda t: t.update({"base_model.model.model.embed_tokens.weight": torch.ones(37, 16)}),
        {},
        r"has model.embed_tokens.weight, which is the output matrix too \(tied\)",
    ),
    (
        lambda t: t.update({"base_model.model.model.norm.weight": torch.ones(17)}),
        {},
        r"model.norm.weight is \(17,\), and the model's is \(16,\)",
    ),
    (lambda t: t.clear(), {}, "is an adapter without any weights"),
    (
        lambda t: t.update({f"{Q}.lora_A.weight": torch.ones(2, 16, dtype=torch.int8)}),
        {},
        "quantized weights are not supported",
    ),
]


@pytest.mark.parametrize(("change", "options", "told"), DAMAGED, ids=[case[2] for case in DAMAGED])
def test_an_adapter_that_does_not_fit_is_told(
    tmp_path: Path,
    base: Path,
    change: Callable[[Tensors], object],
    options: dict[str, Any],
    told: str,
) -> None:
    stored = tensors()
    change(stored)
    model, contents = base_of(base)
    with pytest.raises(CheckpointError, match=told):
        read_adapter(write(tmp_path / "adapter", stored, **options), model, contents.family)


def test_facts_of_an_adapter(tmp_path: Path) -> None:
    options = {
        "use_rslora": True,
        "base_model_name_or_path": "owner/base",
        "target_modules": ["model.layers.0.mlp.up_proj", "model.layers.1.mlp.up_proj", "q_proj"],
        "modules_to_save": ["classifier"],
        "layers_to_transform": [0],
    }
    assert adapter_facts(write(tmp_path / "adapter", tensors(), **options)) == [
        ("adapter", "LoRA, rank 2, alpha 4 (alpha / √rank)"),
        ("base", "owner/base"),
        ("target modules", "q_proj, up_proj (3 modules)"),
        ("modules to save", "classifier"),
        ("layers to transform", "0"),
    ]
