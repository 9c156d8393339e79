"""Random published folders of every family: network, weights, tokenizer and settings from a seed.

`draw` decides everything from a family's name and a number; `write_folder` writes it as published
folders are written, and transformers itself reads it for the reference. To widen what is tried, add
an option to NETWORKS, to SETTINGS or to a family's tokenizers.
"""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from safetensors.torch import load_file, save_file

from tests.families.published import FAMILIES, randomize, untie
from tests.families.random_tokenizers import TOKENIZERS

Rng = random.Random
GENERATION = "generation_config.json"
ENCODERS = ("bert", "distilbert", "roberta", "xlm-roberta", "roformer", "longformer")
DECODERS = (
    *("gpt2", "llama", "mistral", "qwen2", "qwen3", "smollm3", "olmo2"),
    *("gemma2", "gemma3_text", "phi3"),
)
SEVERAL = "several"  # end tokens: the tokenizer's and others


def _one_of(*values: Any) -> Callable[[Rng], Any]:
    return lambda rng: rng.choice(values)


_EPSILON = _one_of(1e-5, 1e-3)
_RATE = _one_of(0.0, 0.1)
_TIED = _one_of(True, False)
_PLAIN = _one_of("relu", "gelu", "gelu_new", "gelu_pytorch_tanh", "quick_gelu", "silu", "swish")
_GATED = _one_of("silu", "gelu", "gelu_pytorch_tanh", "relu", "swish")
_LINEAR = {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}
_LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
_ROPE = _one_of({"rope_type": "default", "rope_theta": 300.0}, _LINEAR, _LLAMA3)
_LLAMA = {
    "num_hidden_layers": _one_of(1, 2),
    "num_key_value_heads": _one_of(1, 2, 4),
    "head_dim": _one_of(4, 6),
    "hidden_act": _GATED,
    "rms_norm_eps": _EPSILON,
    "rope_parameters": _ROPE,
    "tie_word_embeddings": _TIED,
    "attention_dropout": _RATE,
}
# Windows shorter than the texts, in layers from one on, or in those of a list.
_WINDOWS = {
    "use_sliding_window": _one_of(True, True, False),
    "sliding_window": _one_of(3, 5, 64),
    "max_window_layers": _one_of(0, 1, 2),
}
_QWEN = {**_LLAMA, "num_hidden_layers": _one_of(2, 3), **_WINDOWS}
_LOCAL, _GLOBAL = "sliding_attention", "full_attention"
_GEMMA = {
    **{name: value for name, value in _LLAMA.items() if name not in ("hidden_act",)},
    "num_hidden_layers": _one_of(3),  # as many as layer_types has
    "layer_types": _one_of([_GLOBAL, _LOCAL, _LOCAL], [_LOCAL] * 3, [_GLOBAL] * 3),
    "sliding_window": _one_of(3, 5, 64),
    "hidden_activation": _GATED,
    "attention_bias": _TIED,
    "query_pre_attn_scalar": _one_of(3, 6, 24),
    "final_logit_softcapping": _one_of(None, 5.0),
}
_GEMMA3_ROPE = _one_of(
    {_GLOBAL: {**_LINEAR, "factor": 8.0}},
    {_GLOBAL: _LLAMA3, _LOCAL: {"rope_type": "default", "rope_theta": 100.0}},
    {_GLOBAL: {"rope_type": "default", "rope_theta": 300.0}, _LOCAL: _LINEAR},
)
_FACTORS = {"short_factor": [1.0, 1.25, 1.5], "long_factor": [1.5, 2.0, 4.0]}
_LONGROPE = {"rope_type": "longrope", **_FACTORS}
_PHI3 = {
    **{name: value for name, value in _LLAMA.items() if name != "head_dim"},
    # of all texts, or of none: see families/phi3.py
    "original_max_position_embeddings": _one_of(2, 64),
    "rope_parameters": _one_of(
        {"rope_type": "default", "rope_theta": 300.0, "partial_rotary_factor": 0.5},
        {**_LONGROPE, "partial_rotary_factor": 0.75},
        {**_LONGROPE, "partial_rotary_factor": 0.75, "factor": 4.0},
        {**_LONGROPE, "partial_rotary_factor": 0.75, "attention_factor": 1.25},
    ),
    "sliding_window": _one_of(None, 3, 5, 64),
    "resid_pdrop": _RATE,
}
_BERT = {
    "num_hidden_layers": _one_of(1, 2),
    "hidden_act": _PLAIN,
    "type_vocab_size": _one_of(1, 2),
    "layer_norm_eps": _one_of(1e-12, 1e-3),
    "tie_word_embeddings": _TIED,
    "hidden_dropout_prob": _RATE,
}
_ROBERTA = {**_BERT, "hidden_act": _one_of("gelu")}  # its head has no other
_BART = {
    "encoder_layers": _one_of(1, 2),
    "decoder_layers": _one_of(1, 2),
    "activation_function": _PLAIN,
    "scale_embedding": _TIED,
    "dropout": _RATE,
}

# Options of the network by family; each draw takes about half of them.
NETWORKS: dict[str, dict[str, Callable[[Rng], Any]]] = {
    "gpt2": {
        "n_layer": _one_of(1, 2),
        "n_inner": _one_of(None, 24, 40),
        "activation_function": _PLAIN,
        "layer_norm_epsilon": _EPSILON,
        "scale_attn_weights": _TIED,
        "reorder_and_upcast_attn": _TIED,
        "tie_word_embeddings": _TIED,
        "resid_pdrop": _RATE,
    },
    "llama": {**_LLAMA, "attention_bias": _TIED, "mlp_bias": _TIED},
    "mistral": {**_LLAMA, "sliding_window": _one_of(None, 3, 5, 64)},
    "qwen2": _QWEN,
    "qwen3": {**_QWEN, "attention_bias": _TIED},
    "smollm3": {
        **_LLAMA,
        **_WINDOWS,
        "num_hidden_layers": _one_of(2, 3, 4),
        "no_rope_layer_interval": _one_of(1, 2, 3),
        "no_rope_layers": _one_of(None, [0, 1, 1, 0], [1, 0, 1, 1]),
        "attention_bias": _TIED,
        "mlp_bias": _TIED,
    },
    "olmo2": {**_LLAMA, "attention_bias": _TIED},
    "gemma2": {**_GEMMA, "attn_logit_softcapping": _one_of(None, 2.0)},
    "gemma3_text": {
        **_GEMMA,
        "rope_parameters": _GEMMA3_ROPE,
        "sliding_window_pattern": _one_of(1, 2, 3),
    },
    "phi3": _PHI3,
    "bert": _BERT,
    "distilbert": {
        "n_layers": _one_of(1, 2),
        "activation": _PLAIN,
        "tie_word_embeddings": _TIED,
        "sinusoidal_pos_embds": _TIED,
        "dropout": _RATE,
    },
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "roformer": {**_BERT, "num_attention_heads": _one_of(1, 2, 4)},
    "longformer": {
        **_ROBERTA,
        "num_hidden_layers": _one_of(2),
        "attention_window": _one_of(4, 6, 40, [4, 8], [12, 6]),
    },
    "bart": {**_BART, "tie_word_embeddings": _TIED},
    "led": {
        "encoder_layers": _one_of(2),
        "decoder_layers": _one_of(1, 2, 3),
        "activation_function": _PLAIN,
        "attention_window": _one_of(4, 6, 40, [4, 8], [12, 6]),
        "max_decoder_position_embeddings": _one_of(34, 40),
        "tie_word_embeddings": _TIED,
        "dropout": _RATE,
    },
    "mbart": {**_BART, "tie_word_embeddings": _TIED},
    "pegasus": {**_BART, "tie_word_embeddings": _TIED},
    "marian": _BART,
    "m2m_100": _BART,
    "t5": {
        "num_layers": _one_of(1, 2),
        "num_decoder_layers": _one_of(1, 2),
        "feed_forward_proj": _one_of("relu", "gelu", "gated-gelu", "gated-silu", "gated-relu"),
        "relative_attention_num_buckets": _one_of(8, 32),
        "relative_attention_max_distance": _one_of(20, 128),
        "d_kv": _one_of(4, 6),
        "layer_norm_epsilon": _EPSILON,
        "tie_word_embeddings": _TIED,
    },
}


# Changes of config.json as people make them by hand; None takes an option out.
_ROPE_EDITS = (
    {"rope_theta": 50.0, "rope_parameters": {"rope_theta": 500.0, "rope_type": "default"}},
    {"rope_theta": 50.0, "rope_parameters": {"rope_type": "linear", "factor": 2.0}},
    {"rope_parameters": {n: v for n, v in _LLAMA3.items() if not n.startswith("original")}},
    {"rope_parameters": None, "rope_theta": 700.0, "rope_scaling": {"type": "linear", "factor": 3}},
    {"is_llama_config": True, "rope_interleaved": False, "unsloth_version": "2024.9"},
)
EDITS: dict[str, tuple[dict[str, Any], ...]] = {
    "llama": _ROPE_EDITS,
    "mistral": (*_ROPE_EDITS, {"sliding_window": None}, {"attention_bias": False}),
    "qwen2": (
        *_ROPE_EDITS,
        {"layer_types": None, "use_mrope": False},
        {
            "use_sliding_window": True,
            "sliding_window": 4,
            "layer_types": None,
            "max_window_layers": 1,
        },
    ),
    "qwen3": (
        *_ROPE_EDITS,
        {"sliding_window": None, "layer_types": None},
        {
            "use_sliding_window": True,
            "sliding_window": 4,
            "layer_types": None,
            "max_window_layers": 1,
        },
    ),
    "smollm3": (
        *_ROPE_EDITS,
        {"no_rope_layers": None, "no_rope_layer_interval": 2, "layer_types": None},
        {"max_window_layers": 28, "pretraining_tp": 2},
    ),
    "olmo2": (*_ROPE_EDITS, {"attention_bias": None}),
    "gemma2": (
        *_ROPE_EDITS[:4],
        {"hidden_act": "gelu", "cache_implementation": "hybrid", "layer_types": None},
        {"final_logit_softcapping": 3.0, "sliding_window": 4, "use_bidirectional_attention": False},
    ),
    "gemma3_text": (
        {"rope_parameters": None, "rope_theta": 700.0, "rope_local_base_freq": 50.0},
        {"rope_parameters": None, "rope_scaling": {"rope_type": "linear", "factor": 3.0}},
        {"rope_theta": 700.0, "rope_scaling": {"rope_type": "linear", "factor": 3}},
        {"layer_types": None, "sliding_window_pattern": 2, "_sliding_window_pattern": 2},
        {"hidden_act": "gelu", "use_bidirectional_attention": False, "query_pre_attn_scalar": 5},
    ),
    "phi3": (
        {"rope_parameters": None, "rope_theta": 700.0, "partial_rotary_factor": 0.75},
        {
            "rope_parameters": None,
            "rope_scaling": {"type": "longrope", **_FACTORS},
            "partial_rotary_factor": 0.75,
            "original_max_position_embeddings": 64,
        },
        {
            "rope_parameters": {**_LONGROPE, "rope_type": "yarn"}
            | {"partial_rotary_factor": 0.75, "original_max_position_embeddings": 9},
            "original_max_position_embeddings": 2,
        },
        {"attention_bias": False, "full_attn_mod": 1, "lm_head_bias": False, "embd_pdrop": 0.1},
    ),
    "bart": ({"extra_pos_embeddings": 0}, {"author": "A", "kobart_version": 2.0}),
    "mbart": ({"extra_pos_embeddings": 2, "add_final_layer_norm": True},),
    "roformer": ({"embedding_size": None, "rotary_value": None}, {"use_cache": False}),
    "gpt2": ({"n_ctx": 1024, "pruned_heads": {}, "torchscript": False},),
    "m2m_100": ({"pad_token_id": 0}, {"pad_token_id": 4}),
    "t5": ({"output_past": True, "n_positions": 512},),
}
# What training programs put before the names of tensors.
WRAPPERS = ("module.", "_orig_mod.", "model.", "module._orig_mod.")


def _ids(rng: Rng, number: int) -> list[int]:
    """Return ids that every tokenizer has, and that are not special."""
    return rng.sample(range(6, 90), number)


# Settings of decoding, by name.
SETTINGS: dict[str, Callable[[Rng], Any]] = {
    "num_beams": lambda rng: rng.choice([1, 2, 4]),
    "length_penalty": lambda rng: rng.choice([0.3, 1.0, 2.0, -1.0]),
    "early_stopping": lambda rng: rng.choice([True, False, "never"]),
    "max_length": lambda rng: rng.choice([12, 16]),
    "max_new_tokens": lambda rng: rng.choice([4, 8]),
    "min_new_tokens": lambda rng: rng.choice([2, 6]),
    "stop_strings": lambda rng: rng.choice([["e"], ["the", "o", " q"], "a"]),
    "renormalize_logits": lambda rng: True,
    "min_length": lambda rng: rng.choice([0, 5, 9]),
    "no_repeat_ngram_size": lambda rng: rng.choice([0, 1, 2, 3]),
    "encoder_no_repeat_ngram_size": lambda rng: rng.choice([0, 1, 2]),
    "repetition_penalty": lambda rng: rng.choice([1.0, 1.5, 0.7]),
    "encoder_repetition_penalty": lambda rng: rng.choice([1.0, 1.5, 0.7]),
    "exponential_decay_length_penalty": lambda rng: [rng.choice([2, 4]), 1.3],
    "bad_words_ids": lambda rng: [_ids(rng, n) for n in (1, 2, 1)],
    "sequence_bias": lambda rng: [[_ids(rng, n), x] for n, x in ((1, -3.0), (2, 2.0))],
    "suppress_tokens": lambda rng: _ids(rng, 5),
    "begin_suppress_tokens": lambda rng: _ids(rng, 3),
    "forced_bos_token_id": lambda rng: _ids(rng, 1)[0],
    "forced_eos_token_id": lambda rng: _ids(rng, 1)[0],
    "do_sample": lambda rng: False,
    "temperature": lambda rng: 0.6,
    "top_k": lambda rng: 7,
    "use_cache": lambda rng: True,
}
_OF_SOURCES = ("encoder_no_repeat_ngram_size", "encoder_repetition_penalty")

# Where settings of decoding stand.
SETTING_FILES = (GENERATION, GENERATION, GENERATION, "config.json")


class Draw(NamedTuple):
    """All that a seed decides, as plain data."""

    family: str
    seed: int
    network: dict[str, Any]
    settings: dict[str, Any]  # of decoding
    settings_file: str
    tokenizer: dict[str, Any]
    spare_rows: int  # of the embedding, beyond the tokenizer's ids
    stored: str  # the files of weights
    headed: bool  # False: an encoder without its head
    edits: dict[str, Any]  # of config.json
    wrapper: str  # before the names of tensors
    classifier: str = ""  # the end of the name of a class with a head over labels

    @property
    def model_class(self) -> Any:
        """The class in transformers."""
        known = FAMILIES[self.family]
        if self.classifier:
            return getattr(transformers, f"{known.config.removesuffix('Config')}{self.classifier}")
        name = known.model if self.headed else known.model.replace("ForMaskedLM", "Model")
        return getattr(transformers, name)


def draw(family: str, seed: int) -> Draw:
    """Return what a seed decides for a family."""
    rng = random.Random(f"{family} {seed}")
    network = {n: value(rng) for n, value in NETWORKS[family].items() if rng.random() < 0.5}
    tokenizer = TOKENIZERS[family].draw(rng)
    spare = rng.choice([0, 0, 3, 8])
    if tokenizer.get("additional_special_tokens") and rng.random() < 0.7:
        spare = -1
    if family == "marian" and tokenizer.get("separate_vocabs"):
        network["share_encoder_decoder_embeddings"] = False
    settings = _draw_settings(family, rng)
    # transformers looks for the strings in names of special tokens too, and in a source's pieces.
    if family in ("mbart", "m2m_100", "t5", "gemma2", "gemma3_text") or tokenizer.get(
        "separate_vocabs"
    ):
        settings.pop("stop_strings", None)
    edits = ({}, *EDITS.get(family, ()), {})
    return Draw(
        family,
        seed,
        network,
        settings,
        rng.choice(SETTING_FILES),
        tokenizer,
        spare,
        rng.choice(["safetensors", "safetensors", "shards", "pickle"]),
        family not in ENCODERS or rng.random() < 0.6,
        edits[seed % len(edits)],
        rng.choice(WRAPPERS) if rng.random() < 0.2 else "",
    )


def _draw_settings(family: str, rng: Rng) -> dict[str, Any]:
    if family in ENCODERS:
        return {}
    settings = {name: value(rng) for name, value in SETTINGS.items() if rng.random() < 0.3}
    if family in DECODERS:
        settings = {n: value for n, value in settings.items() if n not in _OF_SOURCES}
    if rng.random() < 0.3:
        settings["eos_token_id"] = SEVERAL
    forced = {settings.get("forced_bos_token_id"), settings.get("forced_eos_token_id")}
    for name in ("suppress_tokens", "begin_suppress_tokens"):  # transformers refuses a conflict
        if name in settings:
            settings[name] = [token_id for token_id in settings[name] if token_id not in forced]
    if family == "m2m_100":  # whose positions would start anew after a padding token
        settings["suppress_tokens"] = [*settings.get("suppress_tokens", []), 1]
    return settings


def draw_labelled(family: str, seed: int, classifier: str) -> Draw:
    """Return what a seed decides for a family's class with a head over labels."""
    drawn, rng = draw(family, seed), random.Random(f"{family} {seed} {classifier}")
    names = rng.sample(["no", "yes", "Größe", "two words", "+1"], rng.choice([1, 2, 3]))
    kinds = ["regression", "multi_label_classification"]
    kinds += [] if len(names) == 1 else ["single_label_classification"]
    labels = {
        "id2label": {str(number): name for number, name in enumerate(names)},
        "label2id": {name: number for number, name in enumerate(names)},
        "problem_type": rng.choice([None, *kinds]),
    }
    return drawn._replace(network={**drawn.network, **labels}, settings={}, classifier=classifier)


def write_folder(drawn: Draw, folder: Path) -> None:
    """Write a drawn model as a published folder."""
    known, files = FAMILIES[drawn.family], TOKENIZERS[drawn.family]
    files.write(drawn.tokenizer, folder)
    ids = files.ids(folder)
    options = {**known.sizes, **drawn.network, **ids.config, "vocab_size": ids.size}
    options["vocab_size"] += drawn.spare_rows
    if ids.target_size:
        options["decoder_vocab_size"] = ids.target_size + drawn.spare_rows
    torch.manual_seed(drawn.seed)
    model = drawn.model_class(getattr(transformers, known.config)(**options))
    untie(model, options)
    randomize(model)
    model.save_pretrained(folder, max_shard_size="6KB" if drawn.stored == "shards" else "1GB")
    if drawn.stored == "pickle":
        (folder / "model.safetensors").unlink()
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    _edit(folder / "config.json", drawn.edits)
    _write_settings(drawn, folder, ids.generation)


def _edit(path: Path, changes: dict[str, Any]) -> None:
    fields = {**json.loads(path.read_text()), **changes}
    path.write_text(
        json.dumps({n: v for n, v in fields.items() if n not in changes or v is not None})
    )


def wrap_weights(drawn: Draw, folder: Path) -> None:
    """Rename a folder's tensors as programs do that transformers does not know."""
    if drawn.stored == "safetensors" and drawn.wrapper:
        tensors = load_file(folder / "model.safetensors")
        renamed = {f"{drawn.wrapper}{name}": tensor for name, tensor in tensors.items()}
        save_file(renamed, folder / "model.safetensors")


def _write_settings(drawn: Draw, folder: Path, ids: dict[str, Any]) -> None:
    settings = {**ids, **drawn.settings}
    if settings.get("eos_token_id") == SEVERAL:
        settings["eos_token_id"] = [ids["eos_token_id"], 5, 9]
    (folder / GENERATION).unlink(missing_ok=True)
    path = folder / drawn.settings_file
    fields = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps({**fields, **settings}))


def reference(drawn: Draw, folder: Path) -> Any:
    """Return the model that transformers reads from a folder, in float32."""
    return drawn.model_class.from_pretrained(folder, dtype=torch.float32).eval()
