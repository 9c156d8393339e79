"""Adapters made by PEFT answer the same here, and those saved here answer the same in PEFT."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from tests.adapters.sides import (
    base_of,
    load_peft,
    our_logits,
    peft_model,
    save_peft,
    their_logits,
    with_adapter,
)
from tests.families.published import FAMILIES, VOCABULARY, make
from transformer.adapters.lora import attach_lora, lora_updates, merge_updates
from transformer.adapters.parts import linear_parts, select_parts
from transformer.adapters.peft_folder import read_adapter, write_adapter
from transformer.adapters.saved_modules import insert_saved, select_saved
from transformer.adapters.settings import AdapterSettings

pytestmark = pytest.mark.integration

CASES = [
    ("gpt2", 0, {"target_modules": ["c_attn"]}),
    ("gpt2", 1, {"target_modules": "all-linear", "use_rslora": True}),
    ("llama", 1, {"target_modules": ["q_proj", "v_proj"]}),  # grouped keys and values
    ("llama", 2, {"target_modules": r".*\.(k_proj|o_proj|gate_proj)", "lora_alpha": 2.5}),
    ("mistral", 2, {"target_modules": ["up_proj", "down_proj"], "layers_to_transform": [1]}),
    ("bert", 0, {"target_modules": ["query", "value"]}),
    ("roformer", 0, {"target_modules": ["query", "key", "value"]}),
    ("roformer", 2, {"target_modules": ["query", "key"], "use_dora": True}),
    ("roberta", 0, {"target_modules": ["attention.output.dense", "key"], "use_rslora": True}),
    ("t5", 1, {"target_modules": ["q", "v", "wi_1", "wo"]}),
    ("t5", 0, {"target_modules": ["EncDecAttention.k", "o", "wi"]}),
    ("marian", 2, {"target_modules": "all-linear"}),
    ("bart", 0, {"target_modules": ["k_proj", "out_proj", "fc1"], "exclude_modules": ["x"]}),
    (
        "llama",
        0,
        {
            "target_modules": ["q_proj", "v_proj", "o_proj"],
            "rank_pattern": {"v_proj": 2, "model.layers.1.self_attn.q_proj": 1},
            "alpha_pattern": {"layers.0.self_attn.o_proj": 9},
        },
    ),
    ("llama", 1, {"target_modules": ["q_proj", "up_proj"], "use_dora": True}),
    ("gpt2", 3, {"target_modules": ["c_attn", "c_fc"], "use_dora": True}),
    ("llama", 0, {"target_modules": ["v_proj"], "modules_to_save": ["lm_head", "norm"]}),
    ("gpt2", 0, {"target_modules": ["c_attn"], "modules_to_save": ["ln_f", "c_proj"]}),
]


@pytest.mark.parametrize(("family", "number", "options"), CASES, ids=str)
def test_an_adapter_of_peft_answers_the_same_here(
    tmp_path: Path, family: str, number: int, options: dict[str, Any]
) -> None:
    base = make(family, number, tmp_path / "base")
    adapted = peft_model(base, **options)
    folder = save_peft(adapted, tmp_path / "adapter")
    wanted = their_logits(adapted, family)
    torch.testing.assert_close(
        our_logits(with_adapter(tmp_path / "base", folder)), wanted, atol=2e-4, rtol=1e-4
    )
    assert (wanted - their_logits(base, family)).abs().max() > 0.05  # it does something


OURS = [
    ("gpt2", 0, {"target_modules": ["c_attn", "mlp.c_proj"]}),
    ("gpt2", 1, {"target_modules": "all-linear", "rslora": True}),
    ("llama", 1, {"target_modules": ["q_proj", "v_proj"], "layers": [1]}),
    ("llama", 2, {"target_modules": r".*\.(k_proj|gate_proj)", "alpha": 2.5}),
    ("bert", 0, {"target_modules": ["query", "dense"]}),
    (
        "roformer",
        1,
        {"target_modules": ["query", "value"], "layers": [0], "modules_to_save": ["layer.1"]},
    ),
    ("t5", 1, {"target_modules": ["EncDecAttention.v", "wi_0", "o"]}),
    ("marian", 2, {"target_modules": "all-linear"}),
    ("bart", 0, {"target_modules": ["cross.kv", "attention.out"]}),  # by our names
    ("llama", 0, {"target_modules": ["v_proj"], "modules_to_save": ["lm_head", "input_layernorm"]}),
    ("gpt2", 0, {"target_modules": ["c_fc"], "modules_to_save": ["h.1.attn", "decoder.norm"]}),
]


@pytest.mark.parametrize(("family", "number", "options"), OURS, ids=str)
def test_an_adapter_saved_here_answers_the_same_in_peft(
    tmp_path: Path, family: str, number: int, options: dict[str, Any]
) -> None:
    base = make(family, number, tmp_path / "base")
    model, contents = base_of(tmp_path / "base")
    settings = AdapterSettings(kind="lora", rank=3, **options)
    parts = linear_parts(model, contents.family)
    chosen = select_parts(parts, settings.target_modules, settings.layers)
    saved = select_saved(model, contents.family, settings.modules_to_save)
    attach_lora(model, chosen, settings, seed=1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora" in name or name in saved:
                weight.copy_(weight + 0.2 * torch.randn_like(weight))
    folder = tmp_path / "adapter"
    folder.mkdir()
    updates = lora_updates(model)
    write_adapter(folder, model, contents.family, updates, settings, saved=saved)
    adapted = load_peft(base, folder)
    ours = our_logits(model)
    torch.testing.assert_close(their_logits(adapted, family), ours, atol=2e-4, rtol=1e-4)
    merged = our_logits(with_adapter(tmp_path / "base", folder))
    torch.testing.assert_close(merged, ours, atol=5e-5, rtol=1e-4)
    assert (ours - their_logits(base, family)).abs().max() > 0.05


@pytest.mark.parametrize(
    ("architecture", "target"),
    [
        ("BertForSequenceClassification", "dense"),  # its pooler's, too
        ("RobertaForSequenceClassification", "value"),
        ("LlamaForSequenceClassification", "v_proj"),
        ("DistilBertForSequenceClassification", "q_lin"),
        ("RoFormerForSequenceClassification", "key"),
        ("GPT2ForTokenClassification", "c_attn"),
    ],
)
def test_an_adapter_of_a_classifier_answers_the_same_both_ways(
    tmp_path: Path, architecture: str, target: str
) -> None:
    """PEFT keeps the head over labels whole."""
    family = next(f for f, known in FAMILIES.items() if architecture.startswith(known.config[:-6]))
    made = getattr(transformers, FAMILIES[family].config)
    config = made(vocab_size=VOCABULARY, num_labels=3, pad_token_id=0, **FAMILIES[family].sizes)
    base = getattr(transformers, architecture)(config).eval()
    base.save_pretrained(tmp_path / "base")
    task = "TOKEN_CLS" if "Token" in architecture else "SEQ_CLS"
    adapted = peft_model(base, target_modules=[target], task_type=task)
    folder = save_peft(adapted, tmp_path / "adapter")
    model, contents = base_of(tmp_path / "base")
    adapter = read_adapter(folder, model, contents.family)
    assert adapter.unused == []
    assert {tensor.ours.partition(".")[0] for tensor, _ in adapter.saved} == {"head"}
    wanted = their_logits(adapted, family)
    assert (wanted - their_logits(base, family)).abs().max() > 0.05
    merged = with_adapter(tmp_path / "base", folder)
    torch.testing.assert_close(our_logits(merged), wanted, atol=2e-4, rtol=1e-4)
    insert_saved(model, adapter.saved)
    saved = {tensor.ours for tensor, _ in adapter.saved}
    settings = AdapterSettings(kind="lora", rank=3, alpha=5.0)
    (tmp_path / "again").mkdir()
    again = (tmp_path / "again", model, contents.family)
    write_adapter(*again, adapter.updates, settings, saved=saved)
    assert json.loads((tmp_path / "again" / "adapter_config.json").read_text())["task_type"] == task
    back = load_peft(base, tmp_path / "again")
    torch.testing.assert_close(their_logits(back, family), wanted, atol=2e-4, rtol=1e-4)


def test_a_bare_encoder_and_its_pooler_which_is_not_used(tmp_path: Path) -> None:
    """Names of a model without a head lack its prefix, both ways; all-MiniLM is such a model."""
    torch.manual_seed(4)
    sizes = dict(vocab_size=VOCABULARY, hidden_size=16, intermediate_size=24, num_hidden_layers=2)
    config = transformers.BertConfig(**sizes, num_attention_heads=4, max_position_embeddings=42)
    base = transformers.BertModel(config).eval()
    base.save_pretrained(tmp_path / "base")
    adapted = peft_model(base, target_modules=["query", "dense"])
    folder = save_peft(adapted, tmp_path / "adapter")
    wanted = their_logits(adapted, "bert")
    model, contents = base_of(tmp_path / "base")
    adapter = read_adapter(folder, model, contents.family)
    assert adapter.unused == ["bert.pooler.dense"]
    merge_updates(model, adapter.updates)
    torch.testing.assert_close(our_logits(model), wanted, atol=1e-4, rtol=1e-4)
    (tmp_path / "ours").mkdir()
    settings = AdapterSettings(kind="lora", rank=3, alpha=5.0)
    write_adapter(tmp_path / "ours", model, contents.family, adapter.updates, settings)
    fields = json.loads((tmp_path / "ours" / "adapter_config.json").read_text())
    assert fields["task_type"] == "FEATURE_EXTRACTION"
    assert "encoder.layer.0.attention.self.query" in fields["target_modules"]
    again = their_logits(load_peft(base, tmp_path / "ours"), "bert")
    torch.testing.assert_close(again, wanted, atol=1e-4, rtol=1e-4)
