"""Growth of a network's vocabulary: rows of its tables for tokens that its tokenizer has gained.

Shape suffixes: V rows of a table, D d_model.
"""

from collections.abc import Mapping, Sequence

import msgspec
import torch
from torch import Tensor

from .config import TransformerConfig
from .heads import TokenHead
from .model import Transformer

_SOURCE = "source_embedding.weight"


def grown_config(config: TransformerConfig, tokens: int) -> TransformerConfig:
    """Return a configuration whose vocabulary, the source's too, has room for so many tokens.

    Tables that have more rows stay as they are.
    """
    own = config.source_vocab_size
    return msgspec.structs.replace(
        config,
        vocab_size=max(config.vocab_size, tokens),
        source_vocab_size=None if own is None else max(own, tokens),
    )


def grow_vocabulary(
    model: Transformer, spellings: Mapping[int, Sequence[int]], *, first_id: int, seed: int
) -> Transformer:
    """Return a network with rows for the tokens of `spellings`, which follow `first_id` others.

    Its other weights are those of `model` itself. A new row is the mean of the rows of the former
    ids in which the token's text was spelled (arXiv 2109.07460, 2402.09977). A token without such
    ids gets a draw around the mean of all former rows, each feature with its own variance, after
    Hewitt 2021, "Initializing New Word Embeddings for Pretrained Language Models". Rows that there
    were as padding are used first.
    """
    size = max(first_id, *(token_id + 1 for token_id in spellings))
    config = grown_config(model.config, size)
    with torch.device("meta"):
        grown = Transformer(config).to(model.dtype)
    generator = torch.Generator().manual_seed(seed)
    tensors = dict(model.state_dict())
    for name in _tables(model):
        rows = grown.state_dict()[name].size(0)
        tensors[name] = _grown(tensors[name], rows, spellings, first_id, generator)
    grown.load_state_dict(tensors, assign=True)
    return grown.train(model.training).requires_grad_(False)


def _tables(model: Transformer) -> list[str]:
    """Return the names of the tensors that have a row, or a number, for each token."""
    names = ["embedding.weight", _SOURCE]
    if isinstance(model.head, TokenHead) and not model.config.labels:
        names += ["head.weight", "head.bias"]
    state = model.state_dict()
    return [name for name in names if name in state]


def _grown(
    old: Tensor,
    rows: int,
    spellings: Mapping[int, Sequence[int]],
    first_id: int,
    generator: torch.Generator,
) -> Tensor:
    """Return a table (V, D), or a bias (V), with rows for further tokens."""
    used = old[:first_id].float()
    mean, std = used.mean(0), used.std(0, correction=0)
    grown = old.new_empty((rows, *old.shape[1:]))
    grown[: len(old)] = old
    for token_id in sorted({*spellings} | {*range(len(old), rows)}):
        ids = [i for i in spellings.get(token_id, ()) if i < len(used)]
        noise = torch.randn(mean.shape, generator=generator).to(mean.device)
        grown[token_id] = used[ids].mean(0) if ids else mean + std * noise
    return grown
