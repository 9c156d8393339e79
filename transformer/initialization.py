"""Initialization of weights: a registry of schemes.

In all of them the weights of norms start at one and biases at zero.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from .attention import RandomFeatures, SelfAttention, SimpleRecurrentUnit
from .config import TransformerConfig
from .feedforward import FeedForward
from .layers import CrossAttention
from .model import Transformer
from .registry import Registry


def _projections(model: nn.Module) -> dict[str, Tensor]:
    """Return the weight of every linear map by name; parts of fused ones as views."""
    parts: dict[str, Tensor] = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            parts[name] = module.weight
    for name, module in model.named_modules():
        if isinstance(module, SelfAttention):
            parts.update(_split_attention(name, module, parts))
        elif isinstance(module, CrossAttention):
            _halve(name, "kv", ("k", "v"), parts)
        elif isinstance(module, SimpleRecurrentUnit):
            _halve(name, "gate_value", ("gate", "value"), parts)
        elif isinstance(module, FeedForward) and module.kind.gated:
            _halve(name, "up", ("gate", "up"), parts)
    return parts


def _halve(name: str, fused: str, halves: tuple[str, str], parts: dict[str, Tensor]) -> None:
    """Put the two halves of a module's fused map in its place among the parts."""
    for half, part in zip(halves, parts.pop(f"{name}.{fused}").chunk(2), strict=True):
        parts[f"{name}.{half}"] = part


def _split_attention(
    name: str, module: SelfAttention, parts: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Take the fused maps of a module out of the parts; return queries', keys' and values'."""
    queries = module.out.in_features
    rest = (module.qkv.out_features - queries) // 2
    split = {}
    for fused in module.fused:
        rows = torch.split(parts.pop(f"{name}.{fused}"), [queries, rest, rest])
        for letter, part in zip("qkv", rows, strict=True):
            split[f"{name}.{fused.removesuffix('qkv')}{letter}"] = part
    return split


def _embeddings(model: Transformer) -> list[Tensor]:
    """Return the weights of all embeddings and of the head's own projection."""
    tables = [m.weight for m in model.modules() if isinstance(m, nn.Embedding)]
    return tables if model.head.weight is None else [*tables, model.head.weight]


def _xavier(model: Transformer, config: TransformerConfig) -> None:
    """Draw maps from Glorot's uniform, embeddings from a normal with std d_model^-½."""
    for weight in _projections(model).values():
        nn.init.xavier_uniform_(weight)
    for table in _embeddings(model):
        nn.init.normal_(table, std=config.d_model**-0.5)


def _normal(model: Transformer, config: TransformerConfig) -> None:
    """Draw all weights from a normal with std initialization_std, as BERT and BART do."""
    for weight in [*_projections(model).values(), *_embeddings(model)]:
        nn.init.normal_(weight, std=config.initialization_std)


def _gpt2(model: Transformer, config: TransformerConfig) -> None:
    """Draw from a normal, with std / √(2 · layers) for maps into the residual stream.

    GPT-2, Radford et al. 2019.
    """
    _normal(model, config)
    layers = config.encoder_layers + config.decoder_layers
    residual = config.initialization_std / math.sqrt(2 * layers)
    for name, weight in _projections(model).items():
        if name.endswith((".out", ".down")):
            nn.init.normal_(weight, std=residual)


def _t5(model: Transformer, config: TransformerConfig) -> None:
    """Draw maps from a normal with std fan_in^-½ and embeddings of tokens with std 1, as T5 does.

    Queries have std (fan_in · head width)^-½, as attention scores are not scaled.
    """
    for name, weight in _projections(model).items():
        fan_in = weight.size(1) * (config.head_width if name.endswith((".q", "_q")) else 1)
        nn.init.normal_(weight, std=fan_in**-0.5)
    for table in _embeddings(model):
        is_vocabulary = table.size(0) == config.vocab_size
        nn.init.normal_(table, std=1.0 if is_vocabulary else config.d_model**-0.5)


INITIALIZATIONS: Registry[Callable[[Transformer, TransformerConfig], None]] = Registry(
    "initialization", {"xavier": _xavier, "normal": _normal, "gpt2": _gpt2, "t5": _t5}
)


@torch.no_grad()
def initialize(model: Transformer, *, seed: int) -> None:
    """Initialize all weights by the configured scheme; the same seed gives the same weights."""
    torch.manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm | nn.RMSNorm):
            module.reset_parameters()
        elif isinstance(module, RandomFeatures):
            module.redraw()
    if model.head.bias is not None:
        nn.init.zeros_(model.head.bias)
    INITIALIZATIONS[model.config.initialization](model, model.config)
