"""Configurations and presets: what is refused, what is counted."""

import json
import subprocess
import sys

import pytest
import torch

from tests.models import tiny_config
from transformer import PRESETS, ConfigError, preset_config
from transformer.config_fields import config_from_fields, config_to_fields
from transformer.errors import UnknownNameError
from transformer.model import Transformer
from transformer.parameters import count_parameters

PUBLISHED = {  # millions of weights, as the papers or the released models have them
    "base": 63.1,
    "gpt2": 124.4,
    "gpt2-medium": 354.8,
    "gpt2-large": 774.0,
    "gpt2-xl": 1557.6,
    "gpt3-175b": 174_604.3,
    "bert-base": 109.5,
    "t5-base": 222.9,
    "bart-base": 139.4,
}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_as_many_weights_as_its_built_model(name: str) -> None:
    config = preset_config(
        name, **({} if "vocab_size" in PRESETS[name].fields else {"vocab_size": 1000})
    )
    with torch.device("meta"):
        built = sum(weight.numel() for weight in Transformer(config).parameters())
    assert count_parameters(config) == built
    if name in PUBLISHED:
        assert round(built / 1e6, 1) == PUBLISHED[name]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"d_model": 0}, "d_model is 0"),
        ({"d_model": 30, "heads": 4}, "30 is not a multiple of 4"),
        ({"heads": 4, "kv_heads": 3}, "kv_heads 3"),
        ({"dropout": 1.0}, "dropout is 1.0; it must be at least 0 and below 1"),
        ({"decoder_layers": 0}, "decoder_layers is 0"),
        ({"encoder_layers": 2}, "encoder_layers is 2"),
        ({"positions": "rotary", "d_head": 5}, "even head width"),
        ({"d_modle": 16}, "'d_modle'; did you mean d_model"),
        ({"d_model": "wide"}, "d_model"),
        ({"heads": 0}, "heads is 0; it must be at least 1"),
        ({"kv_heads": 0}, "kv_heads is 0; it must be at least 1"),
        ({"d_head": 0}, "d_head is 0; it must be at least 1"),
        ({"global_tokens": -1}, "global_tokens is -1; it must be at least 0"),
        ({"norm_eps": 0.0}, "norm_eps is 0.0; it must be above 0"),
        ({"norm_eps": float("nan")}, "norm_eps is nan; it must be a finite number and above 0"),
        ({"rotary_base": 1.0}, "rotary_base is 1.0; it must be above 1"),
        ({"relative_buckets": 3}, "relative_buckets is 3; it must be at least 4"),
        (
            {"relative_buckets": 8, "relative_max_distance": 4},
            "distance must be above half of",
        ),
        ({"source_vocab_size": 9}, "source_vocab_size needs share_embeddings to be false"),
        ({"attention_dropout": -0.1}, "attention_dropout is -0.1"),
        ({"rotary_scaling": {"factor": 0.0}}, r"rotary_scaling\.factor is 0.0; it must be above 0"),
        ({"rotary_scaling": {"original_context": 0}}, "context is 0; it must be at least 1"),
        ({"rotary_scaling": {"factor": float("inf")}}, "factor is inf; it must be a finite number"),
        ({"rotary_scaling": {"kind": "llama3", "low": 4.0}}, "high is 4.0, not above low, 4.0"),
    ],
)
def test_impossible_configurations_are_refused_by_name(changes: dict, words: str) -> None:
    fields = {**config_to_fields(tiny_config()), **changes}
    with pytest.raises(ConfigError, match=words):
        config_from_fields(fields)


@pytest.mark.parametrize(
    "changes",
    [
        {"d_model": 30, "heads": 4, "d_head": 6},  # d_head frees d_model
        {"d_head": 5},  # odd, but nothing turns its pairs
        {"kv_heads": 1, "relative_buckets": 4, "relative_max_distance": 3},
        {"rotary_scaling": {"kind": "linear", "low": 4.0}},  # which llama3 alone looks at
        {"source_vocab_size": 9, "share_embeddings": False},
    ],
)
def test_what_is_just_possible_is_a_configuration(changes: dict) -> None:
    config_from_fields({**config_to_fields(tiny_config()), **changes})


def test_what_follows_from_fields_and_what_is_said_instead() -> None:
    plain = tiny_config(d_model=16, heads=4)
    assert (plain.head_width, plain.key_value_heads, plain.scale) == (4, 4, 0.5)
    assert (plain.source_vocabulary, plain.has_attention_bias) == (plain.vocab_size, True)
    said = tiny_config(d_head=9, kv_heads=2, share_embeddings=False, source_vocab_size=7)
    assert (said.head_width, said.key_value_heads, said.source_vocabulary) == (9, 2, 7)
    assert said.scale == pytest.approx(1 / 3)
    assert tiny_config(attention_scale=2.0).scale == 2.0
    for both in (True, False):
        assert tiny_config(bias=both).has_attention_bias is both
        assert tiny_config(bias=both, attention_bias=not both).has_attention_bias is not both


@pytest.mark.parametrize(
    "field",
    ["positions", "norm", "norm_placement", "feedforward", "attention", "head", "initialization"],
)
def test_an_unknown_variant_is_refused_with_all_that_are_known(field: str) -> None:
    from transformer.initialization import initialize

    with pytest.raises(UnknownNameError, match=r"'nonsense'; .*allowed: "):
        initialize(Transformer(tiny_config(**{field: "nonsense"})), seed=0)


def test_a_configuration_survives_json() -> None:
    config = tiny_config("encoder-decoder", kv_heads=2, dropout=0.3)
    assert config_from_fields(json.loads(json.dumps(config_to_fields(config)))) == config


def test_the_configuration_needs_no_torch() -> None:
    code = "import sys, transformer; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
