"""BERT (arXiv 1810.04805) and RoBERTa (arXiv 1907.11692)."""

from dataclasses import replace
from functools import partial
from typing import Any

from ..config import TransformerConfig
from .activations import ACTIVATIONS, published_name
from .config_reader import ConfigReader, TensorNames, is_tied
from .family import Family
from .label_heads import LabelHead
from .name_map import NameMap

_LAYERS = """
    embedding = {p}embeddings.word_embeddings | HEAD.decoder
    types = {p}embeddings.token_type_embeddings
    embedding_norms.0 = {p}embeddings.LayerNorm
    encoder.layers.{i}.attention.qkv = {p}encoder.layer.{i}.attention.self.{QKV}
    encoder.layers.{i}.attention.out = {p}encoder.layer.{i}.attention.output.dense
    encoder.layers.{i}.attention_residual.norm = {p}encoder.layer.{i}.attention.output.LayerNorm
    encoder.layers.{i}.feedforward.up = {p}encoder.layer.{i}.intermediate.dense
    encoder.layers.{i}.feedforward.down = {p}encoder.layer.{i}.output.dense
    encoder.layers.{i}.feedforward_residual.norm = {p}encoder.layer.{i}.output.LayerNorm
    head.weight = HEAD.decoder.weight
    head.dense = HEAD.DENSE
    head.norm = HEAD.NORM
"""
POSITIONS = "encoder.positions.embedding = {p}embeddings.position_embeddings\n"
_TIED = "head.bias = HEAD.bias | HEAD.decoder.bias"
_UNTIED = "head.bias = HEAD.decoder.bias or HEAD.bias"


def encoder_names(
    prefix: str,
    *,
    positions: str = POSITIONS,
    qkv: str = "query,key,value",
    head: str = "cls.predictions",
    dense: str = "transform.dense",
    norm: str = "transform.LayerNorm",
) -> dict[bool, NameMap]:
    """Return the name maps of a family with BERT's, by whether the output is the embedding."""
    maps = {}
    for tie, bias in ((True, _TIED), (False, _UNTIED)):
        text = f"{positions}{_LAYERS}{bias}".replace("QKV", qkv).replace("DENSE", dense)
        text = text.replace("NORM", norm).replace("HEAD", head)
        maps[tie] = NameMap(text, prefix=prefix)
    return maps


_BERT_NAMES = encoder_names("bert.")
_ROBERTA_NAMES = encoder_names("roberta.", head="lm_head", dense="dense", norm="layer_norm")


def read_encoder(
    reader: ConfigReader,
    names: TensorNames,
    *,
    prefix: str,
    head: str = "cls.predictions",
    positions: str = "learned",
    max_positions: int = 512,
    offset: int = 0,
    vocab_size: int = 30_522,
) -> TransformerConfig:
    """Return the network that BERT's options describe, for which files have BERT's names."""
    headed = any(f"{head}.{bias}" in names for bias in ("bias", "decoder.bias"))
    embedding = f"{prefix}embeddings.word_embeddings.weight"
    same = is_tied(reader, names, True, f"{head}.decoder.weight", embedding)
    for unsupported in ("is_decoder", "add_cross_attention"):
        reader.must_be(unsupported, False)
    reader.must_be("position_embedding_type", "absolute")
    reader.must_be("embedding_size", reader.integer("hidden_size", 768))
    return TransformerConfig(
        shape="encoder",
        vocab_size=reader.integer("vocab_size", vocab_size),
        d_model=reader.integer("hidden_size", 768),
        d_ff=reader.integer("intermediate_size", 3072),
        encoder_layers=reader.integer("num_hidden_layers", 12),
        heads=reader.integer("num_attention_heads", 12),
        positions=positions,
        max_positions=reader.integer("max_position_embeddings", max_positions) - offset,
        position_offset=offset,
        feedforward=reader.choice("hidden_act", ACTIVATIONS, "gelu"),
        norm_eps=reader.number("layer_norm_eps", 1e-12),
        embedding_scale=False,
        embedding_norm=True,
        token_types=_read_token_types(reader),
        tie_output=same or not headed,
        output_bias=headed,
        head="masked" if headed else "none",
        dropout=reader.number("hidden_dropout_prob", 0.1),
        attention_dropout=reader.number("attention_probs_dropout_prob", 0.1),
        initialization="normal",
    )


def _read_token_types(reader: ConfigReader) -> int:
    """Return the number of token types. Raises CheckpointError for none: each token has one."""
    number = reader.integer("type_vocab_size", 2)
    if number < 1:
        raise reader.error(f"type_vocab_size is {number}; it must be at least 1")
    return number


def _read_bert(reader: ConfigReader, names: TensorNames) -> TransformerConfig:
    return read_encoder(reader, names, prefix="bert.")


def read_roberta(
    reader: ConfigReader, names: TensorNames, *, prefix: str = "roberta.", vocab_size: int = 50_265
) -> TransformerConfig:
    """Return the network that RoBERTa's options describe, for which files have its names."""
    offset = reader.integer("pad_token_id", 1) + 1  # the index of the first position
    config = read_encoder(
        reader, names, prefix=prefix, head="lm_head", offset=offset, vocab_size=vocab_size
    )
    if config.head == "masked" and config.feedforward != "gelu":  # its head supports no other
        reader.must_be("hidden_act", "gelu")
    return config


def write_encoder(config: TransformerConfig) -> dict[str, Any]:
    """Return BERT's options of a network."""
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "intermediate_size": config.d_ff,
        "num_hidden_layers": config.encoder_layers,
        "num_attention_heads": config.heads,
        "max_position_embeddings": config.max_positions,
        "hidden_act": published_name(config.feedforward),
        "layer_norm_eps": config.norm_eps,
        "type_vocab_size": config.token_types,
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.attention_dropout,
        "tie_word_embeddings": config.tie_output,
    }


def write_roberta(config: TransformerConfig) -> dict[str, Any]:
    """Return RoBERTa's options of a network."""
    return {
        **write_encoder(config),
        "max_position_embeddings": config.max_positions + config.position_offset,
        "pad_token_id": config.position_offset - 1,
    }


IGNORED = ("*pooler.dense.*", "*embeddings.position_ids", "*embeddings.token_type_ids")

BERT = Family(
    read=_read_bert,
    write=write_encoder,
    names=lambda config: _BERT_NAMES[config.tie_output],
    ignored=(*IGNORED, "cls.seq_relationship.*"),
    architecture="BertForMaskedLM",
    bare_architecture="BertModel",
    prefix="bert.",
    outside=("cls",),
).with_label_heads(
    classification=LabelHead(
        architecture="BertForSequenceClassification",
        names="head.dense = {p}pooler.dense\nhead = classifier",
        layer="tanh",
    ),
    tagging=LabelHead(architecture="BertForTokenClassification", names="head = classifier"),
)


def with_roberta_heads(family: Family, name: str) -> Family:
    """Return a family with RoBERTa's classes with heads over labels, whose names begin so."""
    return family.with_label_heads(
        classification=LabelHead(
            architecture=f"{name}ForSequenceClassification",
            names="head.dense = classifier.dense\nhead = classifier.out_proj",
            layer="tanh",
        ),
        tagging=LabelHead(architecture=f"{name}ForTokenClassification", names="head = classifier"),
    )


_ROBERTA = Family(
    read=read_roberta,
    write=write_roberta,
    names=lambda config: _ROBERTA_NAMES[config.tie_output],
    ignored=IGNORED,
    architecture="RobertaForMaskedLM",
    bare_architecture="RobertaModel",
    prefix="roberta.",
)
ROBERTA = with_roberta_heads(_ROBERTA, "Roberta")
XLM_ROBERTA = with_roberta_heads(
    replace(
        _ROBERTA,
        read=partial(read_roberta, vocab_size=30_522),  # transformers' default, of no known model
        architecture="XLMRobertaForMaskedLM",
        bare_architecture="XLMRobertaModel",
    ),
    "XLMRoberta",
)
