"""An option that a file lacks has the value that transformers gives it."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import transformers

from tests.families.published import FAMILIES as PUBLISHED
from tests.families.test_families import Files, read
from transformer.config import TransformerConfig
from transformer.families import FAMILIES, MODEL_TYPE

NAMES = [name for name in FAMILIES if name != MODEL_TYPE]
# Fields that say how a network is initialized here, and the limit that T5 has in its tokenizer.
OURS = {"initialization", "initialization_std"}


def options_of(name: str, folder: Path, **options: Any) -> dict[str, Any]:
    """Return the config.json that transformers writes, all defaults spelled out."""
    config = getattr(transformers, PUBLISHED[name].config)(**options)
    config.to_json_file(folder / "config.json", use_diff=False)
    fields: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return fields


def network(config: TransformerConfig) -> dict[str, Any]:
    fields = msgspec.to_builtins(config)
    fields["kv_heads"], fields["d_head"] = config.key_value_heads, config.head_width
    return {name: value for name, value in fields.items() if name not in OURS}


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_file_is_one_with_all_defaults(name: str, tmp_path: Path) -> None:
    spelled_out = options_of(name, tmp_path)
    assert network(read(name, Files())) == network(read(name, Files(), **spelled_out))


@pytest.mark.parametrize("name", NAMES)
def test_each_option_alone_may_be_absent(name: str, tmp_path: Path) -> None:
    spelled_out = options_of(name, tmp_path)
    whole = network(read(name, Files(), **spelled_out))
    for option in spelled_out:
        rest = {key: value for key, value in spelled_out.items() if key != option}
        assert network(read(name, Files(), **rest)) == whole, option


@pytest.mark.parametrize("name", NAMES)
def test_other_names_of_an_option_are_obeyed(name: str) -> None:
    """`attribute_map`: GPT-2's width as hidden_size, T5's head width as head_dim."""
    config = getattr(transformers, PUBLISHED[name].config)
    sizes = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "head_dim": 20}
    sizes["max_position_embeddings"] = 77
    sizes |= {"attention_probs_dropout_prob": 0.25, "initializer_range": 0.5}
    for alias, current in config.attribute_map.items():
        both = {current: 0.75 if sizes[alias] < 1 else sizes[alias] + 4, alias: sizes[alias]}
        theirs = config.from_dict(both)
        options = {current: getattr(theirs, current)}
        if alias == "num_attention_heads" and "encoder" in current:
            both["decoder_attention_heads"] = options["decoder_attention_heads"] = sizes[alias]
        if alias == "num_hidden_layers" and name == "t5":
            options["num_decoder_layers"] = theirs.num_decoder_layers
        assert network(read(name, Files(), **both)) == network(read(name, Files(), **options))
