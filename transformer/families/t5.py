"""T5 (arXiv 1910.10683) and T5 v1.1, whose feed-forward is gated and whose output is not tied."""

from typing import Any

from ..config import TransformerConfig
from .activations import ACTIVATIONS, GATED, GATED_ACTIVATIONS, published_name
from .config_reader import ConfigReader, TensorNames
from .family import Family
from .name_map import NameMap

_LAYERS = """
    embedding = shared | {encoder,decoder}.embed_tokens | lm_head
    head = lm_head
    {s}.positions.embedding = {s}.block.0.layer.0.SelfAttention.relative_attention_bias
    {s}.layers.{i}.attention.qkv = {s}.block.{i}.layer.0.SelfAttention.{q,k,v}
    {s}.layers.{i}.attention.out = {s}.block.{i}.layer.0.SelfAttention.o
    {s}.layers.{i}.attention_residual.norm = {s}.block.{i}.layer.0.layer_norm
    decoder.layers.{i}.cross.q = decoder.block.{i}.layer.1.EncDecAttention.q
    decoder.layers.{i}.cross.kv = decoder.block.{i}.layer.1.EncDecAttention.{k,v}
    decoder.layers.{i}.cross.out = decoder.block.{i}.layer.1.EncDecAttention.o
    decoder.layers.{i}.cross_residual.norm = decoder.block.{i}.layer.1.layer_norm
    encoder.layers.{i}.feedforward.up = encoder.block.{i}.layer.1.DenseReluDense.UP
    encoder.layers.{i}.feedforward.down = encoder.block.{i}.layer.1.DenseReluDense.wo
    encoder.layers.{i}.feedforward_residual.norm = encoder.block.{i}.layer.1.layer_norm
    decoder.layers.{i}.feedforward.up = decoder.block.{i}.layer.2.DenseReluDense.UP
    decoder.layers.{i}.feedforward.down = decoder.block.{i}.layer.2.DenseReluDense.wo
    decoder.layers.{i}.feedforward_residual.norm = decoder.block.{i}.layer.2.layer_norm
    {s}.norm = {s}.final_layer_norm
"""
_PLAIN = NameMap(_LAYERS.replace("UP", "wi"))
_GATED = NameMap(_LAYERS.replace("UP", "wi_{0,1}"))

# Other names of options, which transformers prefers (attribute_map).
_ALIASES = {
    "hidden_size": "d_model",
    "num_attention_heads": "num_heads",
    "num_hidden_layers": "num_layers",
    "head_dim": "d_kv",
}

# "gated-gelu" has meant the approximation since T5 v1.1.
_FEEDFORWARDS = {
    **ACTIVATIONS,
    "gated-gelu": GATED["gelu-tanh"],
    **{
        f"gated-{theirs}": GATED[ours]
        for theirs, ours in ACTIVATIONS.items()
        if ours in GATED and theirs != "gelu"
    },
}


def _read(reader: ConfigReader, names: TensorNames) -> TransformerConfig:
    # A decoder without a depth of its own has that of num_layers, whatever else is said.
    decoder_layers = reader.integer("num_decoder_layers", reader.integer("num_layers", 6))
    reader.rename(_ALIASES)
    width = reader.integer("d_model", 512)
    reader.must_be("is_decoder", False)
    tied = reader.flag("tie_word_embeddings", True)
    # An untied output is not scaled; newer files have a separate option for it.
    scaled = reader.flag("scale_decoder_outputs", tied)
    rate = reader.number("dropout_rate", 0.1)
    return TransformerConfig(
        shape="encoder-decoder",
        vocab_size=reader.integer("vocab_size", 32_128),
        d_model=width,
        d_ff=reader.integer("d_ff", 2048),
        encoder_layers=reader.integer("num_layers", 6),
        decoder_layers=decoder_layers,
        heads=reader.integer("num_heads", 8),
        d_head=reader.integer("d_kv", 64),
        positions="relative",
        max_positions=reader.integer("n_positions", 512),
        relative_buckets=reader.integer("relative_attention_num_buckets", 32),
        relative_max_distance=reader.integer("relative_attention_max_distance", 128),
        attention_scale=1.0,
        feedforward=_read_feedforward(reader),
        norm="rmsnorm",
        norm_eps=reader.number("layer_norm_epsilon", 1e-6),
        norm_placement="pre",
        final_norm=True,
        bias=False,
        embedding_scale=False,
        tie_output=_has_one_matrix(names),
        output_scale=max(1, width) ** -0.5 if scaled else 1.0,
        dropout=rate,
        attention_dropout=rate,
        activation_dropout=rate,
        initialization="t5",
    )


def _read_feedforward(reader: ConfigReader) -> str:
    """Return the feed-forward: one name, or since transformers 4.20 an activation and a flag."""
    name = reader.get("feed_forward_proj", str, "relu")
    gated = reader.flag("is_gated_act", name.startswith("gated-"))
    activation = reader.get("dense_act_fn", str)
    if activation is None:
        if gated == name.startswith("gated-"):
            return reader.choice("feed_forward_proj", _FEEDFORWARDS, "relu")
        raise reader.error(f"is_gated_act is {gated}, but feed_forward_proj is {name!r}")
    return reader.choice("dense_act_fn", GATED_ACTIVATIONS if gated else ACTIVATIONS)


def _has_one_matrix(names: TensorNames) -> bool:
    """Return True if the output is the embedding: the file's tensors decide, as in transformers."""
    if "lm_head.weight" not in names:
        return True
    return "shared.weight" not in names or names.equal_values("lm_head.weight", "shared.weight")


def _write(config: TransformerConfig) -> dict[str, Any]:
    return {
        "is_encoder_decoder": True,
        "vocab_size": config.vocab_size,
        "d_model": config.d_model,
        "d_ff": config.d_ff,
        "d_kv": config.head_width,
        "num_layers": config.encoder_layers,
        "num_decoder_layers": config.decoder_layers,
        "num_heads": config.heads,
        "n_positions": config.max_positions,
        "relative_attention_num_buckets": config.relative_buckets,
        "relative_attention_max_distance": config.relative_max_distance,
        "feed_forward_proj": published_name(config.feedforward, _FEEDFORWARDS),
        "layer_norm_epsilon": config.norm_eps,
        "dropout_rate": config.dropout,
        "tie_word_embeddings": config.output_scale != 1.0,
    }


T5 = Family(
    read=_read,
    write=_write,
    names=lambda config: _GATED if config.feedforward in GATED.values() else _PLAIN,
    ignored=("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",),
    architecture="T5ForConditionalGeneration",
    stacks=("encoder", "decoder"),
)
