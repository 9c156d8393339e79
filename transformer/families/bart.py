"""BART (arXiv 1910.13461), mBART (2001.08210), Marian (P18-4020), Pegasus (1912.08777) and M2M-100
(2010.11125), of which NLLB is one: the same layers, with other norms and positions."""

from typing import Any

from .activations import ACTIVATIONS, published_name
from .config_reader import ConfigReader, Fields, Names
from .family import Family
from .gpt2 import tied
from .name_map import NameMap

_LAYERS = """
    head.weight = lm_head.weight
    head.bias = final_logits_bias ^row
    {s}.layers.{i}.attention.qkv = {p}{s}.layers.{i}.self_attn.{q,k,v}_proj
    {s}.layers.{i}.attention.out = {p}{s}.layers.{i}.self_attn.out_proj
    {s}.layers.{i}.attention_residual.norm = {p}{s}.layers.{i}.self_attn_layer_norm
    {s}.layers.{i}.cross.q = {p}{s}.layers.{i}.encoder_attn.q_proj
    {s}.layers.{i}.cross.kv = {p}{s}.layers.{i}.encoder_attn.{k,v}_proj
    {s}.layers.{i}.cross.out = {p}{s}.layers.{i}.encoder_attn.out_proj
    {s}.layers.{i}.cross_residual.norm = {p}{s}.layers.{i}.encoder_attn_layer_norm
    {s}.layers.{i}.feedforward.up = {p}{s}.layers.{i}.fc1
    {s}.layers.{i}.feedforward.down = {p}{s}.layers.{i}.fc2
    {s}.layers.{i}.feedforward_residual.norm = {p}{s}.layers.{i}.final_layer_norm
    {s}.positions.embedding = {p}{s}.embed_positions
    {s}.norm = {p}{s}.layer_norm
    embedding_norms.0 = {p}encoder.layernorm_embedding
    embedding_norms.1 = {p}decoder.layernorm_embedding
"""
_SHARED = NameMap(
    _LAYERS + "embedding = {p}shared | {p}{encoder,decoder}.embed_tokens | lm_head",
    prefix="model.",
)
_SEPARATE = NameMap(
    _LAYERS
    + "embedding = {p}decoder.embed_tokens | lm_head\nsource_embedding = {p}encoder.embed_tokens",
    prefix="model.",
)

# Old configurations spell out what is now fixed for a family; where they say otherwise, they are
# of another network.
_FIXED = {
    "add_bias_logits": False,
    "add_cross_attention": False,
    "is_decoder": False,
    "do_blenderbot_90_layernorm": False,
}


def _reader(
    *, fixed: Fields, own: Fields, offset: int = 0, act: str = "gelu", scale: bool = False
) -> Any:
    """A family's reader: what `own` says of its network, and the options that all have."""

    def read(reader: ConfigReader, weights: Names) -> Fields:
        for name, value in {**_FIXED, **fixed}.items():
            reader.must_be(name, value)
        return {
            **_common(reader, weights, act=act, scale=scale),
            "position_offset": offset,
            **own,
        }

    return read


def _common(reader: ConfigReader, weights: Names, *, act: str, scale: bool) -> Fields:
    heads = reader.integer("encoder_attention_heads", 16)
    reader.must_be("decoder_attention_heads", heads)
    width = reader.integer("encoder_ffn_dim", 4096)
    reader.must_be("decoder_ffn_dim", width)
    reader.must_be("num_attention_heads", heads)
    return {
        "shape": "encoder-decoder",
        **_vocabulary(reader, weights),
        "d_model": reader.integer("d_model", 1024),
        "d_ff": width,
        "encoder_layers": reader.integer("encoder_layers", 12),
        "decoder_layers": reader.integer("decoder_layers", 12),
        "heads": heads,
        "max_positions": reader.integer("max_position_embeddings", 1024),
        "feedforward": reader.choice("activation_function", ACTIVATIONS, act),
        "embedding_scale": reader.flag("scale_embedding", scale),
        "output_bias": "final_logits_bias" in weights,
        "dropout": reader.number("dropout", 0.1),
        "attention_dropout": reader.number("attention_dropout", 0.0),
        "activation_dropout": reader.number("activation_dropout", 0.0),
        "initialization": "normal",
    }


def _vocabulary(reader: ConfigReader, weights: Names) -> Fields:
    size = reader.integer("vocab_size", 50_265)
    target = reader.integer("decoder_vocab_size", size)
    shared = reader.flag("share_encoder_decoder_embeddings", True)
    if not reader.flag("tie_word_embeddings", True):  # then nothing is one matrix
        shared = shared and "model.encoder.embed_tokens.weight" not in weights
    if shared and target != size:
        raise reader.error(
            f"decoder_vocab_size is {target}, vocab_size {size}: one matrix cannot have both"
        )
    embedding = "model.shared.weight" if shared else "model.decoder.embed_tokens.weight"
    return {
        "vocab_size": target,
        "share_embeddings": shared,
        "source_vocab_size": None if size == target else size,
        "tie_output": tied(reader, weights, True, "lm_head.weight", embedding),
    }


def _write(fields: Fields) -> Fields:
    both = ("encoder", "decoder")
    theirs = {
        "is_encoder_decoder": True,
        "vocab_size": fields["vocab_size"],
        "d_model": fields["d_model"],
        "max_position_embeddings": fields["max_positions"],
        "activation_function": published_name(fields["feedforward"]),
        "scale_embedding": fields["embedding_scale"],
        "tie_word_embeddings": fields["tie_output"],
        "dropout": fields["dropout"],
        "attention_dropout": fields["attention_dropout"],
        "activation_dropout": fields["activation_dropout"],
        "num_hidden_layers": fields["encoder_layers"],
    }
    for stack in both:
        theirs[f"{stack}_layers"] = fields[f"{stack}_layers"]
        theirs[f"{stack}_attention_heads"] = fields["heads"]
        theirs[f"{stack}_ffn_dim"] = fields["d_ff"]
    return theirs


def _write_marian(fields: Fields) -> Fields:
    return {
        **_write(fields),
        "vocab_size": fields["source_vocab_size"] or fields["vocab_size"],
        "decoder_vocab_size": fields["vocab_size"],
        "share_encoder_decoder_embeddings": fields["share_embeddings"],
    }


_WAVES = ("*.embed_positions.weight*",)  # some files keep what is computed here


def _family(
    architecture: str, read: Any, *, write: Any = _write, ignored: tuple[str, ...] = _WAVES
) -> Family:
    return Family(
        read=read,
        write=write,
        names=lambda fields: _SHARED if fields["share_embeddings"] else _SEPARATE,
        ignored=(*ignored, "*.embed_positions._float_tensor", "*shared.weight"),
        architecture=architecture,
    )


_PRE = {"norm_placement": "pre", "final_norm": True}
_LEARNED = {"positions": "learned", "embedding_norm": True}

BART = _family(
    "BartForConditionalGeneration",
    _reader(
        fixed={
            "normalize_before": False,
            "normalize_embedding": True,
            "add_final_layer_norm": False,
            "static_position_embeddings": False,
            "extra_pos_embeddings": 2,
        },
        own=_LEARNED,
        offset=2,
    ),
    ignored=(),
)
MBART = _family(
    "MBartForConditionalGeneration",
    _reader(
        fixed={
            "normalize_before": True,
            "normalize_embedding": True,
            "add_final_layer_norm": True,
            "static_position_embeddings": False,
            "extra_pos_embeddings": 2,
        },
        own={**_LEARNED, **_PRE},
        offset=2,
    ),
    ignored=(),
)
MARIAN = _family(
    "MarianMTModel",
    _reader(
        fixed={
            "normalize_before": False,
            "normalize_embedding": False,
            "add_final_layer_norm": False,
            "static_position_embeddings": True,
        },
        own={"positions": "sinusoidal-halves"},
    ),
    write=_write_marian,
)
PEGASUS = _family(
    "PegasusForConditionalGeneration",
    _reader(
        fixed={
            "normalize_before": True,
            "normalize_embedding": False,
            "add_final_layer_norm": True,
            "static_position_embeddings": True,
        },
        own={"positions": "sinusoidal-halves", **_PRE},
    ),
)
M2M100 = _family(
    "M2M100ForConditionalGeneration",
    _reader(
        fixed={
            "normalize_before": True,
            "normalize_embedding": False,
            "add_final_layer_norm": True,
            "static_position_embeddings": True,
        },
        own={"positions": "sinusoidal-tensor2tensor", **_PRE},
        offset=2,
        act="relu",
        scale=True,
    ),
)
