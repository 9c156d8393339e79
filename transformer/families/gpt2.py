"""GPT-2 (Radford et al. 2019)."""

from typing import Any

from ..config import TransformerConfig
from .activations import ACTIVATIONS, published_name
from .config_reader import ConfigReader, TensorNames, is_tied
from .family import Family
from .label_heads import LabelHead
from .name_map import NameMap

_NAMES = NameMap(
    """
    embedding = {p}wte | lm_head
    head = lm_head
    decoder.positions.embedding = {p}wpe
    decoder.layers.{i}.attention.qkv = {p}h.{i}.attn.c_attn ^T
    decoder.layers.{i}.attention.out = {p}h.{i}.attn.c_proj ^T
    decoder.layers.{i}.attention_residual.norm = {p}h.{i}.ln_1
    decoder.layers.{i}.feedforward.up = {p}h.{i}.mlp.c_fc ^T
    decoder.layers.{i}.feedforward.down = {p}h.{i}.mlp.c_proj ^T
    decoder.layers.{i}.feedforward_residual.norm = {p}h.{i}.ln_2
    decoder.norm = {p}ln_f
    """,
    prefix="transformer.",
)


# Other names of options, which transformers prefers (attribute_map).
_ALIASES = {
    "hidden_size": "n_embd",
    "max_position_embeddings": "n_positions",
    "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
}


def _read(reader: ConfigReader, names: TensorNames) -> TransformerConfig:
    reader.rename(_ALIASES)
    for unsupported in ("scale_attn_by_inverse_layer_idx", "add_cross_attention"):
        reader.must_be(unsupported, False)
    width = reader.integer("n_embd", 768)
    scaled = reader.flag("scale_attn_weights", True)
    reader.flag("reorder_and_upcast_attn", False)  # the same numbers, in another precision
    return TransformerConfig(
        shape="decoder",
        vocab_size=reader.integer("vocab_size", 50_257),
        d_model=width,
        d_ff=reader.integer("n_inner", 4 * width),
        decoder_layers=reader.integer("n_layer", 12),
        heads=reader.integer("n_head", 12),
        positions="learned",
        max_positions=reader.integer("n_positions", 1024),
        attention_scale=None if scaled else 1.0,
        feedforward=reader.choice("activation_function", ACTIVATIONS, "gelu_new"),
        norm_eps=reader.number("layer_norm_epsilon", 1e-5),
        norm_placement="pre",
        final_norm=True,
        embedding_scale=False,
        tie_output=is_tied(reader, names, True, "lm_head.weight", "transformer.wte.weight"),
        dropout=reader.number("resid_pdrop", reader.number("embd_pdrop", 0.1)),
        attention_dropout=reader.number("attn_pdrop", 0.1),
        initialization="gpt2",
    )


def _write(config: TransformerConfig) -> dict[str, Any]:
    return {
        "vocab_size": config.vocab_size,
        "n_embd": config.d_model,
        "n_inner": config.d_ff,
        "n_layer": config.decoder_layers,
        "n_head": config.heads,
        "n_positions": config.max_positions,
        "activation_function": published_name(config.feedforward),
        "layer_norm_epsilon": config.norm_eps,
        "scale_attn_weights": config.attention_scale is None,
        "tie_word_embeddings": config.tie_output,
        "resid_pdrop": config.dropout,
        "embd_pdrop": config.dropout,
        "attn_pdrop": config.attention_dropout,
    }


GPT2 = Family(
    read=_read,
    write=_write,
    names=lambda _config: _NAMES,
    ignored=("*.attn.bias", "*.attn.masked_bias"),
    architecture="GPT2LMHeadModel",
    prefix="transformer.",
).with_label_heads(
    classification=LabelHead(
        architecture="GPT2ForSequenceClassification",
        names="head = score",
        pooling="last",
        bias=False,
    ),
    tagging=LabelHead(architecture="GPT2ForTokenClassification", names="head = classifier"),
)
