"""A config.json as people write it means for transformers and for us the same network."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.families.published import VOCABULARY, edit, make
from tests.models import model_inputs
from transformer.loading import build_model, inspect_folder

LLAMA3 = dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0)
EDITS: list[tuple[str, int, dict[str, Any]]] = [
    ("llama", 0, dict(rope_theta=50.0, rope_parameters=dict(rope_theta=500.0))),
    ("llama", 0, dict(rope_theta=50.0, rope_parameters=dict(rope_type="linear", factor=2.0))),
    (
        "llama",
        0,
        dict(
            rope_theta=50.0,
            rope_scaling=dict(type="linear", factor=3.0),
            rope_parameters=dict(rope_type="linear", factor=2.0, rope_theta=500.0),
        ),
    ),
    ("llama", 0, dict(rope_parameters={**LLAMA3, "rope_theta": 500.0})),
    (
        "llama",
        0,
        dict(
            rope_parameters={
                **LLAMA3,
                "rope_theta": 500.0,
                "original_max_position_embeddings": 16,
            },
            original_max_position_embeddings=32,
        ),
    ),
    ("gemma2", 0, dict(hidden_act="relu", sliding_window_size=5, layer_types=None)),
    ("gemma3_text", 0, dict(layer_types=None, sliding_window_pattern=3)),
    ("gemma3_text", 0, dict(rope_parameters=None, rope_theta=500.0, rope_local_base_freq=50.0)),
    (
        "gemma3_text",
        1,
        dict(rope_theta=7.0, rope_scaling=dict(rope_type="linear", factor=3.0)),
    ),
    ("phi3", 0, dict(rope_parameters=None, rope_theta=500.0, partial_rotary_factor=0.5)),
    (
        "phi3",
        0,
        dict(
            rope_parameters=None,
            rope_scaling=dict(type="longrope", short_factor=[1, 2], long_factor=[4, 8]),
            partial_rotary_factor=0.5,
            original_max_position_embeddings=4,
        ),
    ),
    ("phi3", 3, dict(original_max_position_embeddings=23)),
    ("bart", 0, dict(extra_pos_embeddings=0)),
    ("gpt2", 0, dict(hidden_size=16, num_attention_heads=2)),
    ("m2m_100", 0, dict(pad_token_id=0)),
    ("t5", 0, dict(dense_act_fn="gelu")),
    ("t5", 1, dict(dense_act_fn="silu")),
]


@pytest.mark.parametrize(("name", "number", "changes"), EDITS, ids=str)
@torch.no_grad()
def test_logits_are_those_of_transformers(
    name: str, number: int, changes: dict[str, Any], tmp_path: Path
) -> None:
    kind = type(make(name, number, tmp_path))
    edit(tmp_path / "config.json", **changes)
    reference = kind.from_pretrained(tmp_path).eval()
    model = build_model(inspect_folder(tmp_path))
    ids_BT = torch.randint(4, VOCABULARY - 1, (2, 24))
    theirs: dict[str, Any] = {"input_ids": ids_BT}
    ours: dict[str, Any] = {}
    if model.config.has_encoder:
        theirs["decoder_input_ids"], ours["source_BS"] = ids_BT.flip(1), ids_BT
    wanted = reference(**theirs).logits
    found = model(model_inputs(ids_BT.flip(1) if ours else ids_BT, **ours))
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)
