"""Conversion between layouts of sinusoidal positions, by permuting the features of a network.

A network computes the same for any order of the features of its residual stream. So a model with
alternating sines and cosines can be permuted into one with all sines first, as published ones have.
That holds for the fields and tensors listed here; others are refused.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase

import msgspec
import torch
from torch import Tensor

from ..config import TransformerConfig
from ..config_fields import require_known_fields
from ..errors import ConfigError

_REFUSAL = "sinusoids cannot be reordered in such networks"

# Fields whose every value commutes with a permutation: attention and feed-forward see the stream
# only through the matrices below, and a recurrence goes feature by feature. Fields that act on it
# directly are listed with their values.
_ANY_VALUE = """
    shape vocab_size d_model d_ff encoder_layers decoder_layers heads kv_heads d_head
    max_positions max_target_positions position_offset
    rotary_base rotary_scaling rotary_fraction relative_buckets
    relative_max_distance attention window global_tokens stride summary_tokens random_features
    redraw_features layers attention_scale attention_softcap feedforward norm_eps final_norm
    bias attention_bias attention_output_bias embedding_scale embedding_norm token_types
    share_embeddings source_vocab_size tie_output output_scale output_bias logit_softcap
    dropout attention_dropout activation_dropout initialization initialization_std labels
    label_kind classifier_pooling classifier_layer
"""
_KNOWN_VALUES = {
    "positions": {"sinusoidal"},
    "norm": {"layernorm", "rmsnorm"},
    "norm_placement": {"post", "pre"},
    "qk_norm": {"none"},
    "head": {"linear", "masked", "none"},
}
KNOWN_FIELDS = frozenset([*_ANY_VALUE.split(), *_KNOWN_VALUES])

# The axes of a tensor that are features of the residual stream, once or several times in a row, by
# the first matching pattern.
_AXES: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("embedding.weight", (1,)),
    ("source_embedding.weight", (1,)),
    ("types.weight", (1,)),
    ("embedding_norms.*", (0,)),
    ("head.weight", (1,)),
    ("head.bias", ()),
    ("head.dense.weight", (0, 1)),
    ("head.dense.bias", (0,)),
    ("*.norm.weight", (0,)),
    ("*.norm.bias", (0,)),
    ("*.out.weight", (0,)),
    ("*.out.bias", (0,)),
    ("*.down.weight", (0,)),
    ("*.down.bias", (0,)),
    ("*.qkv.weight", (1,)),
    ("*.qkv.bias", ()),
    ("*.global_qkv.weight", (1,)),
    ("*.global_qkv.bias", ()),
    ("*.gate_value.weight", (0, 1)),  # a recurrence writes into the stream without another map
    ("*.gate_value.bias", (0,)),
    ("*.q.weight", (1,)),
    ("*.q.bias", ()),
    ("*.kv.weight", (1,)),
    ("*.kv.bias", ()),
    ("*.up.weight", (1,)),
    ("*.up.bias", ()),
    ("*.features.weight", ()),
)


def permute_to_halved_sinusoids(
    tensors: Mapping[str, Tensor], config: TransformerConfig
) -> tuple[dict[str, Tensor], TransformerConfig]:
    """Return the same network with all sines before all cosines, and its configuration.

    Needs an even d_model. Raises ConfigError for networks that are not known to stay the same.
    """
    require_known_fields(config, KNOWN_FIELDS, refusal=_REFUSAL)
    for name, values in _KNOWN_VALUES.items():
        if getattr(config, name) not in values:
            raise ConfigError(f"{_REFUSAL}: {name} is {getattr(config, name)!r}")
    order = torch.cat([torch.arange(start, config.d_model, 2) for start in (0, 1)])
    permuted = {name: _permute(name, tensor, order) for name, tensor in tensors.items()}
    return permuted, msgspec.structs.replace(config, positions="sinusoidal-halves")


def _permute(name: str, tensor: Tensor, order: Tensor) -> Tensor:
    axes = next((axes for pattern, axes in _AXES if fnmatchcase(name, pattern)), None)
    if axes is None:
        raise ConfigError(f"{_REFUSAL}: they have {name}")
    for axis in axes:
        starts = range(0, tensor.size(axis), len(order))
        tensor = tensor.index_select(axis, torch.cat([start + order for start in starts]))
    return tensor
