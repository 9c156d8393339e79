"""Families one by one: what their options and files mean, what is refused, what is written."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from checkpoints import CheckpointError
from tests.families.published import edit, make
from transformer.config import TransformerConfig
from transformer.families import FAMILIES, ConfigReader, family_of
from transformer.layer_spec import LayerSpec, RotaryScaling
from transformer.loading import summarize_model
from transformer.loading.summary import _layers


class Files:
    """Names of tensors, all of them different or all equal."""

    def __init__(self, *names: str, same: bool = True) -> None:
        self.names, self.same = names, same

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def equal_values(self, first: str, second: str) -> bool:
        return self.same


FACTORS = {"short_factor": [1, 2.0], "long_factor": [3.0, 4]}
LONGROPE = RotaryScaling(
    kind="longrope",
    factor=3.0,
    original_context=4096,
    short_factors=(1.0, 2.0),
    long_factors=(3.0, 4.0),
)


def read(family: str, files: Files, **given: Any) -> TransformerConfig:
    reader = ConfigReader(given, "config.json")
    config = FAMILIES[family].read(reader, files)
    reader.finish()
    return config


@pytest.mark.parametrize(
    ("family", "given", "words"),
    [
        ("bart", {"decoder_attention_heads": 8}, "decoder_attention_heads is 8"),
        ("bart", {"decoder_ffn_dim": 8}, "decoder_ffn_dim is 8"),
        ("marian", {"vocab_size": 9, "decoder_vocab_size": 7}, "one matrix cannot have both"),
        ("marian", {"vocab_size": 7, "decoder_vocab_size": 9}, "one matrix cannot have both"),
        ("llama", {"rope_scaling": {"rope_type": "yarn"}}, "'yarn'"),
        ("llama", {"rope_scaling": {"rope_type": "linear"}}, "factor is missing"),
        ("llama", {"rope_scaling": {"type": "llama3", "factor": 2}}, "low_freq_factor is missing"),
        ("llama", {"rope_parameters": {"partial_rotary_factor": 0.5}}, "partial_rotary_factor"),
        ("roformer", {"rotary_value": True}, "rotary_value is True, which is not supported; only"),
        ("roformer", {"embedding_size": 8, "hidden_size": 16}, "embedding_size is 8"),
        ("t5", {"is_gated_act": True}, "is_gated_act is True, but feed_forward_proj is 'relu'"),
        (
            "llama",
            {"rope_scaling": {"type": "linear", "factor": 2, "beta": 3}},
            "rope_scaling: the option beta = 3",
        ),
        ("qwen2", {"attention_bias": False}, "attention_bias is False, which is not supported"),
        ("qwen2", {"mlp_bias": True}, "mlp_bias is True, which is not supported"),
        ("qwen2", {"use_mrope": True}, "use_mrope is True, which is not supported"),
        ("qwen2", {"dual_chunk_attention_config": {"chunk_size": 9}}, "dual_chunk_attention_conf"),
        ("qwen3", {"mlp_bias": True}, "mlp_bias is True, which is not supported"),
        ("qwen3", {"layer_types": ["full_attention"]}, "has 1 entries; it must have 32, one a"),
        ("olmo2", {"mlp_bias": True}, "mlp_bias is True, which is not supported"),
        ("olmo2", {"clip_qkv": 8.0}, "the option clip_qkv = 8.0 is not known"),
        (
            "qwen2",
            {"num_hidden_layers": 1, "layer_types": ["chunked_attention"]},
            "layer_types has 'chunked_attention', which is not supported; only: full_att",
        ),
        (
            "qwen2",
            {"num_hidden_layers": 1, "layer_types": ["sliding_attention"]},
            "has 'sliding_attention', but there is no window: use_sliding_window is False",
        ),
        (
            "qwen3",
            {
                "num_hidden_layers": 1,
                "layer_types": ["sliding_attention"],
                "use_sliding_window": True,
                "sliding_window": None,
            },
            "has 'sliding_attention', but there is no window: sliding_window is missing",
        ),
        ("qwen2", {"num_hidden_layers": 10**12}, "num_hidden_layers is 1,000,000,000,000; it must"),
        ("smollm3", {"num_hidden_layers": 0}, "num_hidden_layers is 0; it must be 1 to 1,000"),
        ("smollm3", {"no_rope_layer_interval": 0}, "no_rope_layer_interval is 0; it must be 1"),
        ("smollm3", {"no_rope_layers": [1, 0]}, "must have a 0 or a 1 for each layer"),
        ("smollm3", {"no_rope_layers": [2] * 36}, "must have a 0 or a 1 for each layer"),
        ("gemma2", {"use_bidirectional_attention": True}, "use_bidirectional_attention is True"),
        ("gemma2", {"sliding_window": None}, "sliding_window is null, and there are layers"),
        ("gemma2", {"sliding_window": 9, "sliding_window_size": 8}, "sliding_window_size is 8"),
        ("gemma2", {"query_pre_attn_scalar": 0}, "query_pre_attn_scalar is 0; it must be above 0"),
        ("gemma2", {"layer_types": ["full_attention"]}, "has 1 entries; it must have 26, one"),
        ("gemma2", {"hidden_activation": "tanh"}, "hidden_activation is 'tanh', which is not"),
        ("gemma3_text", {"use_bidirectional_attention": True}, "use_bidirectional_attention is T"),
        ("gemma3_text", {"attn_logit_softcapping": 50.0}, "attn_logit_softcapping is 50.0, which"),
        ("gemma3_text", {"sliding_window_pattern": 0}, "sliding_window_pattern is 0; it must be"),
        (
            "gemma3_text",
            {"num_hidden_layers": 1, "layer_types": ["chunked_attention"]},
            "layer_types has 'chunked_attention', which is not supported; only: full_attention, sl",
        ),
        (
            "gemma3_text",
            {"rope_parameters": {"rope_type": "linear", "factor": 8.0, "full_attention": {}}},
            "outside full_attention and sliding_attention stands rope_type, factor, of which trans",
        ),
        (
            "gemma3_text",
            {"rope_parameters": {"sliding_attention": {"rope_type": "yarn"}}},
            "rope_parameters: sliding_attention: rope_type is 'yarn', which is not supported",
        ),
        ("phi3", {"lm_head_bias": True}, "lm_head_bias is True"),
        ("phi3", {"full_attn_mod": 2}, "full_attn_mod is 2, which is not supported; only: 1"),
        ("phi3", {"rope_scaling": {"type": "linear"}}, "only: default, longrope, su, yarn"),
        ("phi3", {"rope_scaling": {"type": "su", "short_factor": [1]}}, "long_factor is missing"),
        ("phi3", {"rope_scaling": {"type": "su", "short_factor": ["a"]}}, "entry 0 is a, not a nu"),
        ("phi3", {"rope_scaling": {"type": "su", **FACTORS, "beta": 3}}, "the option beta = 3"),
        ("transduce", {"model_type": "transduce", "format_version": 2}, "format version 2"),
        ("transduce", {"model_type": "transduce"}, "format version 0"),
    ],
)
def test_options_of_another_network_are_refused(family: str, given: dict, words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        read(family, Files(), **given)


ROTARY, NONE = LayerSpec(), LayerSpec(positions="none")
FROM_28 = (*[LayerSpec()] * 28, *[LayerSpec(attention="sliding", window=4096)] * 4)


@pytest.mark.parametrize(
    ("family", "files", "given", "wanted"),
    [
        ("bert", Files(), {}, {"head": "none", "tie_output": True, "output_bias": False}),
        ("bert", Files("cls.predictions.bias"), {}, {"head": "masked", "output_bias": True}),
        ("bert", Files(), {"tie_word_embeddings": False}, {"head": "none", "tie_output": True}),
        ("bart", Files(), {}, {"output_bias": False}),
        ("bart", Files("final_logits_bias"), {}, {"output_bias": True}),
        ("mistral", Files(), {}, {"d_ff": 14_336, "max_positions": 131_072, "heads": 32}),
        ("llama", Files(), {}, {"kv_heads": 32, "rotary_base": 10_000.0}),
        ("llama", Files(), {"rope_theta": 7.0}, {"rotary_base": 7.0}),
        (
            "llama",
            Files(),
            {"rope_parameters": {"rope_theta": 7.0}},
            {"rotary_base": 7.0},
        ),
        ("gemma2", Files(), {"attn_logit_softcapping": None}, {"attention_softcap": None}),
        (
            "gemma2",
            Files(),
            {"num_hidden_layers": 1},
            {"layers": (LayerSpec(attention="sliding"),)},
        ),
        ("gemma3_text", Files(), {"sliding_window_pattern": 1}, {"layers": None, "window": 256}),
        (
            "gemma3_text",
            Files(),
            {"rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 2}}},
            {"rotary_base": 1e6, "rotary_scaling": RotaryScaling(kind="linear", factor=2.0)},
        ),
        ("phi3", Files(), {"resid_pdrop": 0.25, "embd_pdrop": 0.5}, {"dropout": 0.25}),
        (
            "phi3",
            Files(),
            {
                "max_position_embeddings": 8192,
                "rope_scaling": {"type": "yarn", **FACTORS, "original_max_position_embeddings": 9},
            },
            {"rotary_scaling": msgspec.structs.replace(LONGROPE, factor=2.0)},
        ),
        ("t5", Files(), {}, {"output_scale": 512**-0.5, "tie_output": True}),
        ("t5", Files(), {"tie_word_embeddings": False}, {"output_scale": 1.0}),
        ("t5", Files(), {"scale_decoder_outputs": False}, {"output_scale": 1.0}),
        ("t5", Files("lm_head.weight", same=False), {}, {"tie_output": True}),
        ("t5", Files("lm_head.weight", "shared.weight", same=False), {}, {"tie_output": False}),
        ("mistral", Files(), {}, {"attention": "sliding", "window": 4096, "kv_heads": 8}),
        ("mistral", Files(), {"sliding_window": None}, {"attention": "full"}),
        ("mistral", Files(), {"num_key_value_heads": None}, {"kv_heads": 32}),
        ("qwen2", Files(), {}, {"layers": None, "rotary_base": 10_000.0, "d_head": 128}),
        ("qwen2", Files(), {"num_key_value_heads": None}, {"kv_heads": 32}),
        ("qwen2", Files(), {"use_sliding_window": True}, {"layers": FROM_28}),
        ("qwen2", Files(), {"use_sliding_window": True, "sliding_window": None}, {"layers": None}),
        (
            "qwen3",
            Files(),
            {"use_sliding_window": True, "sliding_window": 9, "max_window_layers": 0},
            {"layers": (LayerSpec(attention="sliding", window=9),)},
        ),
        ("qwen3", Files(), {"hidden_size": 64, "num_attention_heads": 32}, {"d_head": 128}),
        ("smollm3", Files(), {}, {"rotary_base": 2e6, "layers": (ROTARY, ROTARY, ROTARY, NONE)}),
        ("smollm3", Files(), {"no_rope_layers": [1] * 40}, {"layers": None, "decoder_layers": 36}),
        (
            "smollm3",
            Files(),
            {"use_sliding_window": True, "sliding_window": 9, "no_rope_layer_interval": 2},
            {"layers": (ROTARY, LayerSpec(attention="sliding", window=9, positions="none"))},
        ),
        ("olmo2", Files(), {}, {"norm_eps": 1e-5, "norm_placement": "reordered", "kv_heads": 32}),
        ("m2m_100", Files(), {"pad_token_id": 0}, {"position_offset": 1}),
        ("bart", Files(), {"extra_pos_embeddings": 0}, {"position_offset": 2}),
        ("t5", Files(), {"feed_forward_proj": "gated-gelu"}, {"feedforward": "geglu-tanh"}),
        (
            "t5",
            Files(),
            {"feed_forward_proj": "gated-gelu", "dense_act_fn": "gelu"},
            {"feedforward": "geglu"},
        ),
        ("gpt2", Files(), {"n_embd": 8, "n_head": 2}, {"d_ff": 32, "tie_output": True}),
    ],
)
def test_what_files_and_absent_options_say(
    family: str, files: Files, given: dict, wanted: dict
) -> None:
    found = read(family, files, **given)
    assert {name: getattr(found, name) for name in wanted} == wanted


@pytest.mark.parametrize("same", [True, False])
def test_two_different_matrices_are_believed(same: bool) -> None:
    both = Files("lm_head.weight", "transformer.wte.weight", same=same)
    assert read("gpt2", both).tie_output is same


LOCAL = LayerSpec(
    attention="sliding", rotary_base=9.0, rotary_scaling=RotaryScaling(kind="linear", factor=3.0)
)
LLAMA3 = RotaryScaling(kind="llama3", factor=8.0, low=2.0, high=5.0, original_context=99)


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("llama", {"rotary_scaling": LLAMA3}),
        ("llama", {"rotary_scaling": RotaryScaling(kind="linear", factor=8.0)}),
        ("llama", {"bias": True, "attention_bias": False}),
        ("llama", {"bias": False, "attention_bias": True}),
        ("mistral", {"attention": "sliding", "window": 5}),
        ("mistral", {"attention": "full", "window": 256}),
        ("qwen2", {"layers": (LayerSpec(attention="sliding", window=5), LayerSpec())}),
        ("qwen2", {"rotary_scaling": LLAMA3, "tie_output": True, "d_head": 6}),
        ("qwen3", {"layers": (LayerSpec(), LayerSpec(attention="sliding", window=5))}),
        ("qwen3", {"attention_bias": True, "d_head": 6, "kv_heads": 2}),
        ("smollm3", {"layers": (NONE, LayerSpec(attention="sliding", window=5), ROTARY)}),
        ("smollm3", {"bias": True, "attention_bias": False, "tie_output": False}),
        ("olmo2", {"attention_bias": True, "rotary_scaling": LLAMA3, "norm_eps": 1e-3}),
        ("gemma2", {"attention_scale": 144**-0.5, "attention_softcap": None}),
        ("gemma2", {"layers": None, "attention": "full", "window": 256}),
        ("gemma3_text", {"layers": (LayerSpec(attention="sliding", rotary_base=9.0),)}),
        ("gemma3_text", {"layers": (LayerSpec(), LOCAL)}),
        ("gemma3_text", {"layers": (LayerSpec(), LOCAL), "rotary_scaling": RotaryScaling()}),
        ("phi3", {"rotary_scaling": LONGROPE, "rotary_fraction": 0.75}),
        ("phi3", {"rotary_scaling": msgspec.structs.replace(LONGROPE, attention_factor=1.5)}),
        ("phi3", {"attention": "sliding", "window": 5, "dropout": 0.25}),
        ("roberta", {"position_offset": 5, "max_positions": 40}),
        ("m2m_100", {"position_offset": 5}),
        ("t5", {"d_head": 6, "d_model": 16, "heads": 4, "output_scale": 0.25}),
        ("marian", {"share_embeddings": False, "source_vocab_size": 9, "vocab_size": 7}),
        ("gpt2", {"attention_scale": 1.0}),
    ],
)  # fmt: skip
def test_what_is_written_is_read_again(family: str, changes: dict) -> None:
    """Our configuration as theirs, and back."""
    config = msgspec.structs.replace(read(family, Files()), **changes)
    back = read(family, Files(), **FAMILIES[family].write(config))
    assert {name: getattr(back, name) for name in changes} == changes


@pytest.mark.parametrize("family", ["qwen2", "qwen3"])
@pytest.mark.parametrize("plain", [0, 1, 3, 4])
def test_programs_that_know_no_lists_of_layers_read_windows_in_the_last(
    family: str, plain: int
) -> None:
    window = LayerSpec(attention="sliding", window=5)
    config = msgspec.structs.replace(read(family, Files()), decoder_layers=4)
    layers = (*[LayerSpec()] * plain, *[window] * (4 - plain))
    options = FAMILIES[family].write(msgspec.structs.replace(config, layers=layers))
    del options["layer_types"]
    back = read(family, Files(), **options)
    assert [back.of_layer(n).attention for n in range(4)] == [
        "full" if number < plain else "sliding" for number in range(4)
    ]
    assert options["max_window_layers"] == plain


def test_what_layers_have_of_their_own_is_shown_in_few_words(tmp_path: Path) -> None:
    for number, words in (
        (1, "by turns rotary positions, full attention; no positions, full attention; swiglu"),
        (5, "by turns rotary positions, sliding attention, window 4; no positions, sliding"),
    ):
        make("smollm3", number, tmp_path / str(number))
        assert dict(summarize_model(tmp_path / str(number)))["layers"].startswith(words)
    make("smollm3", 0, tmp_path / "four")
    edit(tmp_path / "four" / "config.json", no_rope_layers=[1, 1])
    assert dict(summarize_model(tmp_path / "four"))["layers"].startswith("rotary positions, full")
    edit(tmp_path / "four" / "config.json", no_rope_layers=[0, 0])
    assert dict(summarize_model(tmp_path / "four"))["layers"].startswith("no positions, full")


def test_runs_of_layers_alike_are_counted() -> None:
    options = {"use_sliding_window": True, "sliding_window": 9, "max_window_layers": 30}
    words = (
        "by turns 30 × rotary positions, full attention; 2 × rotary positions, sliding attention"
    )
    assert _layers(read("qwen2", Files(), **options)).startswith(words)


def test_code_of_a_model_is_refused_before_anything_is_read() -> None:
    with pytest.raises(CheckpointError, match="no code from a model is ever run"):
        family_of({"model_type": "gpt2", "auto_map": {"AutoModel": "x.Y"}}, "config.json")
    with pytest.raises(CheckpointError, match="model_type is 'gpt9'; allowed: bart"):
        family_of({"model_type": "gpt9"}, "config.json")


PHI3_CODE = "configuration_phi3.Phi3Config"


@pytest.mark.parametrize(
    ("code", "is_known"),
    [
        ({"AutoConfig": PHI3_CODE}, True),
        ({"AutoConfig": f"x/y--{PHI3_CODE}", "AutoModel": "modeling_phi3.Phi3Model"}, True),
        ({"AutoConfig": PHI3_CODE, "AutoTokenizer": ["x.Y", None]}, True),
        ({"AutoConfig": PHI3_CODE, "AutoModel": "modeling_my.Phi3Model"}, False),
        ({"AutoConfig": [PHI3_CODE]}, False),
        (PHI3_CODE, False),
    ],
)
def test_code_of_a_class_that_transformers_has_is_not_needed(code: Any, is_known: bool) -> None:
    """Microsoft's files name it; it is run neither there nor here."""
    assert FAMILIES["phi3"].knows_code(code) is is_known
    assert not FAMILIES["llama"].knows_code(code)


def test_gemma_3_with_images_is_told_from_that_without() -> None:
    words = r"model_type is 'gemma3', a model of images; allowed: .*, gemma3_text, "
    for part in ({"vision_config": {"hidden_size": 8}}, {"mm_tokens_per_image": 256}):
        with pytest.raises(CheckpointError, match=words):
            family_of({"model_type": "gemma3", "text_config": {}, **part}, "config.json")
