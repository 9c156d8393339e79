"""Presets are the networks of their papers, as the released configurations have them."""

from typing import Any

import pytest
import transformers

from transformer import PRESETS, preset_config
from transformer.config import TransformerConfig
from transformer.families import FAMILIES, ConfigReader

# What transformers' own classes are without options, or with those of the released models.
RELEASED: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "gpt2": ("gpt2", transformers.GPT2Config, {}),
    "gpt2-medium": (
        "gpt2",
        transformers.GPT2Config,
        {"n_embd": 1024, "n_layer": 24, "n_head": 16},
    ),
    "gpt2-large": ("gpt2", transformers.GPT2Config, {"n_embd": 1280, "n_layer": 36, "n_head": 20}),
    "gpt2-xl": ("gpt2", transformers.GPT2Config, {"n_embd": 1600, "n_layer": 48, "n_head": 25}),
    "bert-base": ("bert", transformers.BertConfig, {}),
    "t5-base": (
        "t5",
        transformers.T5Config,
        {"d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12},
    ),
    "bart-base": (
        "bart",
        transformers.BartConfig,
        {
            "d_model": 768, "encoder_layers": 6, "decoder_layers": 6, "encoder_ffn_dim": 3072,
            "decoder_ffn_dim": 3072, "encoder_attention_heads": 12, "decoder_attention_heads": 12,
        },
    ),
}  # fmt: skip


class AllTensors:
    """A file with all that is asked for but heads over labels; tied matrices are equal."""

    def __contains__(self, name: object) -> bool:
        return str(name).partition(".")[0] not in {"final_logits_bias", "classifier", "score"}

    def equal_values(self, first: str, second: str) -> bool:
        return True


def published(family: str, made: Any) -> TransformerConfig:
    return FAMILIES[family].read(ConfigReader(made.to_dict(), "config.json"), AllTensors())


@pytest.mark.parametrize("name", RELEASED)
def test_a_preset_is_the_released_network(name: str) -> None:
    """In every field; only the width of a head may be given or follow from others."""
    family, make, options = RELEASED[name]
    found, wanted = preset_config(name), published(family, make(**options))
    for field in TransformerConfig.__struct_fields__:
        ours, theirs = (getattr(config, field) for config in (found, wanted))
        if field == "d_head":
            ours, theirs = found.head_width, wanted.head_width
        assert ours == theirs, field


def test_the_originals_are_table_3_of_the_paper() -> None:
    """arXiv 1706.03762: N, d_model, d_ff, h, P_drop; post-norm, sinusoids, one embedding."""
    for name, row in {
        "base": (6, 512, 2048, 8, 0.1),
        "big": (6, 1024, 4096, 16, 0.3),
    }.items():
        c = preset_config(name)
        assert (c.encoder_layers, c.d_model, c.d_ff, c.heads, c.dropout) == row
        assert (c.decoder_layers, c.norm_placement, c.final_norm) == (6, "post", False)
        assert (c.positions, c.feedforward, c.norm) == ("sinusoidal", "relu", "layernorm")
        assert c.share_embeddings and c.tie_output and c.embedding_scale and c.bias
        assert (c.attention_dropout, c.activation_dropout, c.output_scale) == (0.0, 0.0, 1.0)


def test_gpt3_is_table_2_1_of_its_paper() -> None:
    """arXiv 2005.14165: 96 layers, 12,288 wide, 96 heads of 128; a context of 2,048."""
    c, small = preset_config("gpt3-175b"), preset_config("gpt2")
    assert (c.decoder_layers, c.d_model, c.heads, c.head_width) == (96, 12_288, 96, 128)
    assert (c.max_positions, c.d_ff, c.feedforward) == (2048, 4 * 12_288, small.feedforward)


def test_our_own_encoder_is_a_roformer() -> None:
    """Its sizes aside; with learned positions, it is a BERT."""
    sizes = {"vocab_size", "d_model", "d_ff", "encoder_layers", "heads", "max_positions"}
    wanted = {"rotary": ("roformer", transformers.RoFormerConfig)}
    wanted["learned"] = ("bert", transformers.BertConfig)
    for positions, (family, make) in wanted.items():
        changes = {} if positions == "rotary" else {"positions": positions}
        found, theirs = (
            preset_config("bert-tiny", vocab_size=9, **changes),
            published(family, make()),
        )
        for field in {*TransformerConfig.__struct_fields__} - sizes:
            assert getattr(found, field) == getattr(theirs, field), field


@pytest.mark.parametrize("name", sorted(name for name in PRESETS if name.startswith("write-")))
def test_our_own_writers_are_llamas(name: str) -> None:
    """Where Llama's configuration says anything about it, and a preset's size does not."""
    c = preset_config(name, vocab_size=100)
    wanted = published("llama", transformers.LlamaConfig(rms_norm_eps=1e-5))
    for field in ("positions", "rotary_base", "feedforward", "norm", "norm_placement", "final_norm",
                  "bias", "has_attention_bias", "embedding_scale", "attention_scale"):  # fmt: skip
        assert getattr(c, field) == getattr(wanted, field), field
