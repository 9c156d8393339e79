"""BART (arXiv 1910.13461) and related families: the same layers, other norms and positions.

They are mBART (2001.08210), Marian (P18-4020), Pegasus (1912.08777) and M2M-100 (2010.11125), of
which NLLB is one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..config import TransformerConfig
from .activations import ACTIVATIONS, published_name
from .config_reader import ConfigReader, TensorNames, is_tied
from .family import Family
from .name_map import NameMap

LAYERS = """
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
# Of both sides together, and of each alone.
EMBEDDINGS = (
    "embedding = {p}shared | {p}{encoder,decoder}.embed_tokens | lm_head",
    "embedding = {p}decoder.embed_tokens | lm_head\nsource_embedding = {p}encoder.embed_tokens",
)
_SHARED, _SEPARATE = (NameMap(LAYERS + each, prefix="model.") for each in EMBEDDINGS)

# Other names of options, which transformers prefers (attribute_map).
_ALIASES = {
    "hidden_size": "d_model",
    "num_hidden_layers": "encoder_layers",
    "num_attention_heads": "encoder_attention_heads",
}

# Old configurations state what is now fixed for a family; other values mean another network.
_UNSUPPORTED = (
    "add_bias_logits",
    "add_cross_attention",
    "is_decoder",
    "do_blenderbot_90_layernorm",
)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """The norms, positions and defaults of a family."""

    positions: str
    position_offset: int = 0
    pre_norm: bool = False
    embedding_norm: bool = False
    activation: str = "gelu"
    scale_embedding: bool = False
    vocab_size: int = 50_265
    attention_dropout: float = 0.0
    prefix: str = "model."
    positions_after_pad: bool = False  # the first one is the row after the pad token's id

    @property
    def learned_positions(self) -> bool:
        """True if the weights hold the positions, rather than a formula."""
        return self.positions == "learned"

    def check(self, reader: ConfigReader) -> None:
        """Raise CheckpointError if old options describe another family's network."""
        for unsupported in _UNSUPPORTED:
            reader.must_be(unsupported, False)
        reader.must_be("normalize_before", self.pre_norm)
        reader.must_be("normalize_embedding", self.embedding_norm)
        reader.must_be("add_final_layer_norm", self.pre_norm)
        reader.must_be("static_position_embeddings", not self.learned_positions)

    def read(self, reader: ConfigReader, names: TensorNames) -> TransformerConfig:
        """Return the configuration of one of the family's networks. Raises CheckpointError."""
        reader.rename(_ALIASES)
        self.check(reader)
        heads = reader.integer("encoder_attention_heads", 16)
        reader.must_be("decoder_attention_heads", heads)
        width = reader.integer("encoder_ffn_dim", 4096)
        reader.must_be("decoder_ffn_dim", width)
        source, target, shared = _read_vocabularies(reader, names, self)
        embedding = f"{self.prefix}{'shared' if shared else 'decoder.embed_tokens'}.weight"
        return TransformerConfig(
            shape="encoder-decoder",
            vocab_size=target,
            d_model=reader.integer("d_model", 1024),
            d_ff=width,
            encoder_layers=reader.integer("encoder_layers", 12),
            decoder_layers=reader.integer("decoder_layers", 12),
            heads=heads,
            positions=self.positions,
            max_positions=reader.integer("max_position_embeddings", 1024),
            position_offset=self._read_offset(reader),
            feedforward=reader.choice("activation_function", ACTIVATIONS, self.activation),
            norm_placement="pre" if self.pre_norm else "post",
            final_norm=self.pre_norm,
            embedding_scale=reader.flag("scale_embedding", self.scale_embedding),
            embedding_norm=self.embedding_norm,
            share_embeddings=shared,
            source_vocab_size=None if source == target else source,
            tie_output=is_tied(reader, names, True, "lm_head.weight", embedding),
            output_bias="final_logits_bias" in names,
            dropout=reader.number("dropout", 0.1),
            attention_dropout=reader.number("attention_dropout", self.attention_dropout),
            activation_dropout=reader.number("activation_dropout", 0.0),
            initialization="normal",
        )

    def _read_offset(self, reader: ConfigReader) -> int:
        """Return the row of the first position in the table of positions."""
        if self.positions_after_pad:
            return reader.integer("pad_token_id", self.position_offset - 1) + 1
        return self.position_offset


def _read_vocabularies(
    reader: ConfigReader, names: TensorNames, variant: Variant
) -> tuple[int, int, bool]:
    """Return the sizes of source and target, and whether one embedding serves both."""
    source = reader.integer("vocab_size", variant.vocab_size)
    target = reader.integer("decoder_vocab_size", source)
    shared = reader.flag("share_encoder_decoder_embeddings", True)
    if not reader.flag("tie_word_embeddings", True):  # then encoder and decoder may differ
        shared = shared and f"{variant.prefix}encoder.embed_tokens.weight" not in names
    if shared and target != source:
        raise reader.error(
            f"decoder_vocab_size is {target}, vocab_size {source}: one matrix cannot have both"
        )
    return source, target, shared


def write_bart(config: TransformerConfig) -> dict[str, Any]:
    """Return BART's options of a network."""
    return {
        "is_encoder_decoder": True,
        "vocab_size": config.vocab_size,
        "d_model": config.d_model,
        "max_position_embeddings": config.max_positions,
        "activation_function": published_name(config.feedforward),
        "scale_embedding": config.embedding_scale,
        "tie_word_embeddings": config.tie_output,
        "dropout": config.dropout,
        "attention_dropout": config.attention_dropout,
        "activation_dropout": config.activation_dropout,
        "num_hidden_layers": config.encoder_layers,
        "encoder_layers": config.encoder_layers,
        "encoder_attention_heads": config.heads,
        "encoder_ffn_dim": config.d_ff,
        "decoder_layers": config.decoder_layers,
        "decoder_attention_heads": config.heads,
        "decoder_ffn_dim": config.d_ff,
    }


def _write_marian(config: TransformerConfig) -> dict[str, Any]:
    return {
        **write_bart(config),
        "vocab_size": config.source_vocabulary,
        "decoder_vocab_size": config.vocab_size,
        "share_encoder_decoder_embeddings": config.share_embeddings,
    }


def _write_m2m100(config: TransformerConfig) -> dict[str, Any]:
    return {**write_bart(config), "pad_token_id": config.position_offset - 1}


def _family(
    architecture: str,
    variant: Variant,
    *,
    write: Callable[[TransformerConfig], dict[str, Any]] = write_bart,
) -> Family:
    # Some files store the table that a formula gives.
    computed = () if variant.learned_positions else ("*.embed_positions.weight*",)
    return Family(
        read=variant.read,
        write=write,
        names=lambda config: _SHARED if config.share_embeddings else _SEPARATE,
        ignored=(*computed, "*.embed_positions._float_tensor", "*shared.weight"),
        architecture=architecture,
        prefix="model.",
        outside=("lm_head", "final_logits_bias"),
        stacks=("encoder", "decoder"),
    )


BART = _family(
    "BartForConditionalGeneration",
    Variant(positions="learned", position_offset=2, embedding_norm=True),
)
MBART = _family(
    "MBartForConditionalGeneration",
    Variant(positions="learned", position_offset=2, embedding_norm=True, pre_norm=True),
)
MARIAN = _family(
    "MarianMTModel",
    Variant(positions="sinusoidal-halves", vocab_size=58_101),
    write=_write_marian,
)
PEGASUS = _family(
    "PegasusForConditionalGeneration", Variant(positions="sinusoidal-halves", pre_norm=True)
)
M2M100 = _family(
    "M2M100ForConditionalGeneration",
    Variant(
        positions="sinusoidal-tensor2tensor",
        position_offset=2,
        positions_after_pad=True,
        pre_norm=True,
        activation="relu",
        scale_embedding=True,
        vocab_size=128_112,
        attention_dropout=0.1,
    ),
    write=_write_m2m100,
)
