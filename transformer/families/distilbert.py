"""DistilBERT (arXiv 1910.01108): BERT's layers, without token types and without a pooler."""

from typing import Any

from ..config import TransformerConfig
from .activations import ACTIVATIONS, published_name
from .config_reader import ConfigReader, TensorNames, is_tied
from .family import Family
from .label_heads import LabelHead
from .name_map import NameMap

_NAMES = NameMap(
    """
    embedding = {p}embeddings.word_embeddings | vocab_projector
    encoder.positions.embedding = {p}embeddings.position_embeddings
    embedding_norms.0 = {p}embeddings.LayerNorm
    encoder.layers.{i}.attention.qkv = {p}transformer.layer.{i}.attention.{q,k,v}_lin
    encoder.layers.{i}.attention.out = {p}transformer.layer.{i}.attention.out_lin
    encoder.layers.{i}.attention_residual.norm = {p}transformer.layer.{i}.sa_layer_norm
    encoder.layers.{i}.feedforward.up = {p}transformer.layer.{i}.ffn.lin1
    encoder.layers.{i}.feedforward.down = {p}transformer.layer.{i}.ffn.lin2
    encoder.layers.{i}.feedforward_residual.norm = {p}transformer.layer.{i}.output_layer_norm
    head = vocab_projector
    head.dense = vocab_transform
    head.norm = vocab_layer_norm
    """,
    prefix="distilbert.",
)

# Other names of options, which transformers prefers (attribute_map).
_ALIASES = {
    "hidden_size": "dim",
    "num_attention_heads": "n_heads",
    "num_hidden_layers": "n_layers",
}


def _read(reader: ConfigReader, names: TensorNames) -> TransformerConfig:
    reader.rename(_ALIASES)
    embedding = "distilbert.embeddings.word_embeddings.weight"
    same = is_tied(reader, names, True, "vocab_projector.weight", embedding)
    # The table of positions is stored, whatever its first values were.
    for without_effect in ("sinusoidal_pos_embds", "tie_weights_"):
        reader.flag(without_effect, False)
    headed = "vocab_projector.bias" in names
    return TransformerConfig(
        shape="encoder",
        vocab_size=reader.integer("vocab_size", 30_522),
        d_model=reader.integer("dim", 768),
        d_ff=reader.integer("hidden_dim", 3072),
        encoder_layers=reader.integer("n_layers", 6),
        heads=reader.integer("n_heads", 12),
        positions="learned",
        max_positions=reader.integer("max_position_embeddings", 512),
        feedforward=reader.choice("activation", ACTIVATIONS, "gelu"),
        norm_eps=1e-12,
        embedding_scale=False,
        embedding_norm=True,
        tie_output=same or not headed,
        output_bias=headed,
        head="masked" if headed else "none",
        dropout=reader.number("dropout", 0.1),
        attention_dropout=reader.number("attention_dropout", 0.1),
        initialization="normal",
    )


def _write(config: TransformerConfig) -> dict[str, Any]:
    return {
        "vocab_size": config.vocab_size,
        "dim": config.d_model,
        "hidden_dim": config.d_ff,
        "n_layers": config.encoder_layers,
        "n_heads": config.heads,
        "max_position_embeddings": config.max_positions,
        "activation": published_name(config.feedforward),
        "dropout": config.dropout,
        "attention_dropout": config.attention_dropout,
        "tie_word_embeddings": config.tie_output,
    }


DISTILBERT = Family(
    read=_read,
    write=_write,
    names=lambda _config: _NAMES,
    ignored=("*embeddings.position_ids",),
    architecture="DistilBertForMaskedLM",
    bare_architecture="DistilBertModel",
    prefix="distilbert.",
    outside=("vocab_projector", "vocab_transform", "vocab_layer_norm"),
).with_label_heads(
    classification=LabelHead(
        architecture="DistilBertForSequenceClassification",
        names="head.dense = pre_classifier\nhead = classifier",
        layer="relu",
    ),
    tagging=LabelHead(architecture="DistilBertForTokenClassification", names="head = classifier"),
)
