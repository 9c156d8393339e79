"""Counts of the weights of a configuration, without building the model."""

from collections.abc import Iterator

from .attention import ATTENTION, count_attention_parameters
from .config import TransformerConfig
from .feedforward import FEEDFORWARDS
from .heads import HEADS
from .norms import RESIDUALS, count_norm_parameters
from .positions import POSITIONS
from .uninitialized import count_linear_parameters


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
    final_norm = count_norm_parameters(config) if config.final_norm else 0
    parts = {
        "embeddings": embeddings,
        "positions": sum(
            POSITIONS[config.positions].count_parameters(config, causal=causal)
            for causal, is_there in ((False, config.has_encoder), (True, config.has_decoder))
            if is_there
        ),
        "encoder": _layers(config, config.encoder_layers, causal=False)
        + final_norm * config.has_encoder,
        "decoder": _layers(config, config.decoder_layers, causal=True, crossed=stacks == 2)
        + final_norm * config.has_decoder,
        "head": HEADS[config.head].count_parameters(config),
    }
    return {part: count for part, count in parts.items() if count}


def alike_layers(config: TransformerConfig, count: int) -> Iterator[tuple[TransformerConfig, int]]:
    """Yield the configurations of a stack's layers, and how many of the `count` have each."""
    turn = len(config.layers or (None,))
    for number in range(min(turn, count)):
        yield config.of_layer(number), len(range(number, count, turn))


def _layers(config: TransformerConfig, count: int, *, causal: bool, crossed: bool = False) -> int:
    """Return the number of weights in the layers of a stack, which are of some kinds by turns."""
    return sum(
        layers * _layer(own, causal=causal, crossed=crossed)
        for own, layers in alike_layers(config, count)
    )


def _layer(config: TransformerConfig, *, causal: bool, crossed: bool) -> int:
    """Return the number of weights in one layer, of the configuration that is its own."""
    residual = RESIDUALS[config.norm_placement].norms * count_norm_parameters(config)
    attention = ATTENTION[config.attention].count_parameters(config, causal=causal) + residual
    cross = count_attention_parameters(config) + residual if crossed else 0
    return attention + cross + _feedforward(config) + residual


def _feedforward(config: TransformerConfig) -> int:
    parts = 2 if FEEDFORWARDS[config.feedforward].gated else 1
    up = count_linear_parameters(config.d_model, parts * config.d_ff, bias=config.bias)
    return up + count_linear_parameters(config.d_ff, config.d_model, bias=config.bias)
