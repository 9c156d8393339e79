"""Counts of the weights of a configuration, without building the model."""

from .config import TransformerConfig
from .feedforward import FEEDFORWARDS
from .heads import HEADS
from .norms import RESIDUALS, count_head_norm_parameters, count_norm_parameters
from .positions import POSITIONS


def count_parameters(config: TransformerConfig) -> int:
    """Return the number of trained weights, shared ones counted once."""
    return sum(parameters_by_part(config).values())


def parameters_by_part(config: TransformerConfig) -> dict[str, int]:
    """Return the number of trained weights in each part of the network that has any."""
    stacks = int(config.has_encoder) + int(config.has_decoder)
    rows = config.vocab_size + config.token_types
    if stacks == 2 and not config.share_embeddings:
        rows += config.source_vocabulary
    embeddings = rows * config.d_model
    if config.embedding_norm:
        embeddings += stacks * count_norm_parameters(config)
    residual = RESIDUALS[config.norm_placement].norms * count_norm_parameters(config)
    layer = _attention(config) + _feedforward(config) + 2 * residual
    crossed = layer + (_attention(config) + residual if stacks == 2 else 0)
    final_norm = count_norm_parameters(config) if config.final_norm else 0
    parts = {
        "embeddings": embeddings,
        "positions": stacks * POSITIONS[config.positions].count_parameters(config),
        "encoder": config.encoder_layers * layer + final_norm * config.has_encoder,
        "decoder": config.decoder_layers * crossed + final_norm * config.has_decoder,
        "head": HEADS[config.head].count_parameters(config),
    }
    return {part: count for part, count in parts.items() if count}


def _linear(inputs: int, outputs: int, bias: bool) -> int:
    return inputs * outputs + (outputs if bias else 0)


def _attention(config: TransformerConfig) -> int:
    width = config.heads * config.head_width
    rows = width + 2 * config.key_value_heads * config.head_width
    maps = _linear(config.d_model, rows, config.has_attention_bias)
    maps += _linear(width, config.d_model, config.has_attention_output_bias)
    norms = (count_head_norm_parameters(config, n) for n in (config.heads, config.key_value_heads))
    return maps + sum(norms)


def _feedforward(config: TransformerConfig) -> int:
    parts = 2 if FEEDFORWARDS[config.feedforward].gated else 1
    up = _linear(config.d_model, parts * config.d_ff, config.bias)
    return up + _linear(config.d_ff, config.d_model, config.bias)
