"""A folder's configuration, before any weights are read."""

import json
from pathlib import Path

import msgspec
import pytest
import torch

from checkpoints import CheckpointError, save_tensors
from tests.models import tiny_config, tiny_model
from tokenizer import Tokenizer
from transformer.attention import ATTENTION
from transformer.export import save_model
from transformer.layer_spec import LayerSpec, RotaryScaling
from transformer.loading import inspect_folder, summarize_model
from transformer.loading.summary import _layers


def test_a_network_that_is_not_possible_is_refused_by_its_file(tmp_path: Path) -> None:
    """Whatever family it is of: the numbers are checked in one place."""
    config = {"model_type": "gpt2", "n_embd": 16, "n_head": 3}
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_tensors(tmp_path / "model.safetensors", {"wte.weight": torch.zeros(1)})
    with pytest.raises(CheckpointError) as refused:
        inspect_folder(tmp_path)
    assert str(refused.value).startswith(
        f"{tmp_path / 'config.json'}: d_model 16 is not a multiple"
    )


OWN_ROTARY = (
    LayerSpec(rotary_base=1e6, rotary_scaling=RotaryScaling(factor=8.0)),
    LayerSpec(),
)
OWN_FIELDS: dict[str, object] = {
    "attention": "linear",
    "window": 3,
    "global_tokens": 2,
    "stride": 3,
    "summary_tokens": 1,
    "positions": "none",
    "rotary_base": 50.0,
    "rotary_scaling": RotaryScaling(factor=4.0),
}


@pytest.mark.parametrize("field", LayerSpec.__struct_fields__)
def test_whatever_a_layer_has_of_its_own_is_told(field: str) -> None:
    kinds = [name for name, kind in ATTENTION.items() if field in kind.fields]
    plain = LayerSpec(attention=kinds[0]) if kinds else LayerSpec()
    own = msgspec.structs.replace(plain, **{field: OWN_FIELDS[field]})
    whole, changed = (
        _layers(tiny_config(positions="rotary", layers=(plain, other))) for other in (plain, own)
    )
    assert whole.startswith("rotary positions, ") and changed.startswith("by turns ")


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        ({"positions": "none"}, "no positions, full attention, "),
        (
            {"layers": (LayerSpec(), LayerSpec(positions="none"))},
            "; no positions, full attent",
        ),
        ({"positions": "learned"}, "learned positions, full attention, "),
        ({"positions": "rotary", "layers": OWN_ROTARY}, " (base 1,000,000, linear scaling by 8), "),
        (
            {"positions": "rotary", "layers": OWN_ROTARY},
            "; rotary positions (base 10,000, unscaled",
        ),
    ],
)
def test_the_positions_of_layers_are_told(
    tokenizer: Tokenizer, tmp_path: Path, layers: dict[str, object], told: str
) -> None:
    model = tiny_model(vocab_size=tokenizer.vocab_size, **layers)
    save_model(tmp_path, model.config, model.state_dict(), tokenizer, card={})
    assert told in dict(summarize_model(tmp_path))["layers"]
