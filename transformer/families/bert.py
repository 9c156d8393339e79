"""BERT (arXiv 1810.04805) and RoBERTa (arXiv 1907.11692)."""

from .activations import ACTIVATIONS, published_name
from .config_reader import ConfigReader, Fields, Names
from .family import Family
from .gpt2 import tied
from .name_map import NameMap

_LAYERS = """
    embedding = {p}embeddings.word_embeddings | HEAD.decoder
    encoder.positions.embedding = {p}embeddings.position_embeddings
    types = {p}embeddings.token_type_embeddings
    embedding_norms.0 = {p}embeddings.LayerNorm
    encoder.layers.{i}.attention.qkv = {p}encoder.layer.{i}.attention.self.{query,key,value}
    encoder.layers.{i}.attention.out = {p}encoder.layer.{i}.attention.output.dense
    encoder.layers.{i}.attention_residual.norm = {p}encoder.layer.{i}.attention.output.LayerNorm
    encoder.layers.{i}.feedforward.up = {p}encoder.layer.{i}.intermediate.dense
    encoder.layers.{i}.feedforward.down = {p}encoder.layer.{i}.output.dense
    encoder.layers.{i}.feedforward_residual.norm = {p}encoder.layer.{i}.output.LayerNorm
    head.weight = HEAD.decoder.weight
    head.dense = HEAD.DENSE
    head.norm = HEAD.NORM
"""
_TIED = "head.bias = HEAD.bias | HEAD.decoder.bias"
_UNTIED = "head.bias = HEAD.decoder.bias or HEAD.bias"


def _names(prefix: str, *, head: str, dense: str, norm: str) -> dict[bool, NameMap]:
    """The name map of a family's models, by whether their output is the embedding."""
    maps = {}
    for tie, bias in ((True, _TIED), (False, _UNTIED)):
        text = f"{_LAYERS}{bias}".replace("DENSE", dense).replace("NORM", norm)
        maps[tie] = NameMap(text.replace("HEAD", head), prefix=prefix)
    return maps


_BERT_NAMES = _names(
    "bert.", head="cls.predictions", dense="transform.dense", norm="transform.LayerNorm"
)
_ROBERTA_NAMES = _names("roberta.", head="lm_head", dense="dense", norm="layer_norm")


def _common(reader: ConfigReader, weights: Names, *, prefix: str, head: str) -> Fields:
    headed = any(f"{head}.{bias}" in weights for bias in ("bias", "decoder.bias"))
    embedding = f"{prefix}embeddings.word_embeddings.weight"
    same = tied(reader, weights, True, f"{head}.decoder.weight", embedding)
    for unsupported in ("is_decoder", "add_cross_attention"):
        reader.must_be(unsupported, False)
    reader.must_be("position_embedding_type", "absolute")
    reader.must_be("embedding_size", reader.integer("hidden_size", 768))
    return {
        "shape": "encoder",
        "vocab_size": reader.integer("vocab_size", 30_522),
        "d_model": reader.integer("hidden_size", 768),
        "d_ff": reader.integer("intermediate_size", 3072),
        "encoder_layers": reader.integer("num_hidden_layers", 12),
        "heads": reader.integer("num_attention_heads", 12),
        "positions": "learned",
        "max_positions": reader.integer("max_position_embeddings", 512),
        "feedforward": reader.choice("hidden_act", ACTIVATIONS, "gelu"),
        "norm_eps": reader.number("layer_norm_eps", 1e-12),
        "embedding_scale": False,
        "embedding_norm": True,
        "token_types": reader.integer("type_vocab_size", 2),
        "tie_output": same or not headed,
        "output_bias": headed,
        "head": "masked" if headed else "none",
        "dropout": reader.number("hidden_dropout_prob", 0.1),
        "attention_dropout": reader.number("attention_probs_dropout_prob", 0.1),
        "initialization": "normal",
    }


def _read_bert(reader: ConfigReader, weights: Names) -> Fields:
    return _common(reader, weights, prefix="bert.", head="cls.predictions")


def _read_roberta(reader: ConfigReader, weights: Names) -> Fields:
    fields = _common(reader, weights, prefix="roberta.", head="lm_head")
    if fields["head"] == "masked" and fields["feedforward"] != "gelu":  # its head knows no other
        reader.must_be("hidden_act", "gelu")
    offset = reader.integer("pad_token_id", 1) + 1  # positions are counted from there
    return {
        **fields,
        "position_offset": offset,
        "max_positions": fields["max_positions"] - offset,
    }


def _write_bert(fields: Fields) -> Fields:
    return {
        "vocab_size": fields["vocab_size"],
        "hidden_size": fields["d_model"],
        "intermediate_size": fields["d_ff"],
        "num_hidden_layers": fields["encoder_layers"],
        "num_attention_heads": fields["heads"],
        "max_position_embeddings": fields["max_positions"],
        "hidden_act": published_name(fields["feedforward"]),
        "layer_norm_eps": fields["norm_eps"],
        "type_vocab_size": fields["token_types"],
        "hidden_dropout_prob": fields["dropout"],
        "attention_probs_dropout_prob": fields["attention_dropout"],
        "tie_word_embeddings": fields["tie_output"],
    }


def _write_roberta(fields: Fields) -> Fields:
    offset = fields["position_offset"]
    return {
        **_write_bert(fields),
        "max_position_embeddings": fields["max_positions"] + offset,
        "pad_token_id": offset - 1,
    }


_IGNORED = ("*pooler.dense.*", "*embeddings.position_ids", "*embeddings.token_type_ids")

BERT = Family(
    read=_read_bert,
    write=_write_bert,
    names=lambda fields: _BERT_NAMES[fields["tie_output"]],
    ignored=(*_IGNORED, "cls.seq_relationship.*"),
    architecture="BertForMaskedLM",
)
ROBERTA = Family(
    read=_read_roberta,
    write=_write_roberta,
    names=lambda fields: _ROBERTA_NAMES[fields["tie_output"]],
    ignored=_IGNORED,
    architecture="RobertaForMaskedLM",
)
