"""Options of a config.json: their types, their absence, and those that are not read."""

import inspect
from typing import Any

import pytest
from transformers.models.auto import modeling_auto as auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from checkpoints import CheckpointError
from transformer.families import ConfigReader
from transformer.families.no_effect import OFF_BY_DEFAULT


def options(**fields: Any) -> ConfigReader:
    return ConfigReader(fields, "config.json")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (lambda o: o.integer("yes"), "yes is True; it must be int"),
        (lambda o: o.number("yes", 0.0), "yes is True; it must be int or float"),
        (lambda o: o.flag("one", False), "one is 1; it must be bool"),
        (lambda o: o.integer("text"), "text is 'a'; it must be int"),
        (lambda o: o.integer("low"), r"low is -1000000\d*; it is too large"),
        (lambda o: o.integer("high"), r"high is 1000000\d*; it is too large"),
        (lambda o: o.integer("absent"), "absent is missing"),
        (lambda o: o.must_be("one", 2, 3), "one is 1, which is not supported; only: 2, 3"),
        (lambda o: o.choice("text", {"b": "c"}), "text is 'a', which is not supported; only: b"),
    ],
)
def test_an_option_of_another_kind_is_named(asked: Any, words: str) -> None:
    given = options(yes=True, one=1, text="a", low=-(10**19), high=10**19)
    with pytest.raises(CheckpointError, match=f"^config.json: {words}"):
        asked(given)


def test_options_and_what_their_absence_means() -> None:
    given = options(one=1, none=None, half=0.5)
    assert (given.integer("one"), given.integer("none", 3), given.number("one", 2.0)) == (1, 3, 1.0)
    assert (given.number("half", 2.0), given.flag("absent", True)) == (0.5, True)
    given.must_be("one", 0, 1)
    given.must_be("absent", 1, 0)
    assert given.choice("absent", {"a": "b"}, "a") == "b"


@pytest.mark.parametrize("value", ["", 0, 0.0, 1, "x", True, [0], {"a": 1}, False, {}, []])
def test_an_option_that_nobody_reads_is_refused(value: Any) -> None:
    given = options(read=1, unread=value)
    given.integer("read")
    with pytest.raises(CheckpointError, match=r"the option unread = .* is not known"):
        given.finish()


def test_an_option_without_a_value_changes_nothing() -> None:
    options(unread=None, _private=1, model_type="x", top_k=50).finish()


ON = """rms_norm apply_rope use_bias scale_embeddings layer_norm_elementwise_affine scaling gating
    multi_query use_rotary_embedding do_layer_norm_before causal norm_bias position_bias"""


@pytest.mark.parametrize("name", ON.split())
def test_an_option_that_is_on_by_default_may_not_be_switched_off(name: str) -> None:
    with pytest.raises(CheckpointError, match=f"the option {name} = False is not known"):
        options(**{name: False}).finish()


@pytest.mark.parametrize("value", [False, {}, []])
def test_what_is_off_by_default_may_be_off(value: Any) -> None:
    for name in OFF_BY_DEFAULT:
        options(**{name: value}).finish()
        for other in (True, 0, {"0": [1]}):
            with pytest.raises(CheckpointError, match=f"the option {name} = .* is not known"):
                options(**{name: other}).finish()


def test_no_text_model_of_transformers_has_on_what_is_off_by_default() -> None:
    for name in {
        **auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        **auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    }:
        parameters = inspect.signature(CONFIG_MAPPING[name].__init__).parameters.values()
        on = {p.name for p in parameters if p.default is True} & (OFF_BY_DEFAULT - NOT_OURS)
        assert not on, (name, on)


# No family here has such a norm, or is an encoder that is used as a decoder.
NOT_OURS = {"use_qk_norm", "qk_layernorm", "is_decoder", "add_cross_attention"}


HARMLESS: dict[str, Any] = {
    "author": "A. Nobody",
    "kobart_version": 2.0,
    "_name_or_path": "a/b",
    "name_or_path": "a/b",
    "unsloth_fixed": True,
    "unsloth_version": "2024.9",
    "transformers.js_config": {"kv_cache_dtype": {"q4f16": "float16"}},
    "is_llama_config": True,
    "rope_interleaved": False,
    "torchscript": False,
    "use_bfloat16": False,
    "pruned_heads": {},
    "use_sliding_window": False,
    "gradient_checkpointing": False,
    "embd_dropout": False,
    "do_lower_case": False,
    "fused_bias_fc": True,
    "quantization_config": {},
    "id2label": {},
    "max_sequence_length": 2048,
    "sep_token_id": 2,
    "image_token_index": 7,
    "classifier_dropout": 0.0,
    "hidden_dropout": 0.1,
    "decoder_layerdrop": 0.05,
    "initializer_range": 0.02,
    "torch_dtype": "float16",
    "use_flash_attn": True,
    "use_gradient_checkpointing": True,
    "tokenizer_class": "PreTrainedTokenizerFast",
    "task_specific_params": {"summarization": {"num_beams": 4}},
    "transformers_version": "4.40.0",
}


@pytest.mark.parametrize("name", HARMLESS)
def test_an_option_of_a_kind_without_effect_may_stay(name: str) -> None:
    options(**{name: HARMLESS[name]}).finish()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rope_interleaved", True),
        ("num_experts", 8),
        ("num_local_experts", 0),
        ("attn_logit_softcapping", 50.0),
        ("embedding_multiplier", 12.0),
        ("qk_norm", True),
        ("norm_name", "rmsnorm"),
        ("activation", "xielu"),
        ("layer_types", ["full_attention"]),
        ("author", {"name": "x"}),
        ("hidden_dropout", "linear"),
        ("dropout_kind", "linear"),
        ("quantization", {"bits": 4}),
        ("use_version_two", True),
        ("pruned_heads", {"0": [1]}),
    ],
)
def test_an_option_that_could_change_the_network_is_refused(name: str, value: Any) -> None:
    with pytest.raises(CheckpointError, match=f"the option {name} = .* is not known"):
        options(**{name: value}).finish()


def test_another_name_of_an_option_wins_and_a_null_is_no_value() -> None:
    given = options(width=1, hidden_size=2, depth=3, layers=None, limit=None)
    given.rename({"hidden_size": "width", "layers": "depth", "absent": "width"})
    assert (given.integer("width"), given.integer("depth")) == (2, 3)
    assert (given.is_null("limit"), given.is_null("width"), given.is_null("none")) == (
        True,
        False,
        False,
    )
    assert given.integer("limit", 4) == 4
    given.finish()
