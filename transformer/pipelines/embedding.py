"""Text embeddings: an encoder's states, pooled.

Shape suffixes: B texts, S tokens, D d_model.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..data import pad_rows
from ..errors import ConfigError
from ..finite import require_finite
from ..loading import LoadedModel, PoolingConfig
from ..registry import Registry
from .records import MAX_CHARACTERS

_MAX_WINDOW = 512  # lines sorted by length together; windows grow to it, so output starts early


def _mean(states_BSD: Tensor, mask_BS1: Tensor) -> Tensor:
    return (states_BSD * mask_BS1).sum(dim=1) / mask_BS1.sum(dim=1)


def _first(states_BSD: Tensor, mask_BS1: Tensor) -> Tensor:
    del mask_BS1
    return states_BSD[:, 0]


def _max(states_BSD: Tensor, mask_BS1: Tensor) -> Tensor:
    return states_BSD.masked_fill(~mask_BS1, float("-inf")).amax(dim=1)


POOLINGS: Registry[Callable[[Tensor, Tensor], Tensor]] = Registry(
    "pooling", {"mean": _mean, "first": _first, "max": _max}
)


class TextEmbedding(NamedTuple):
    """One text's vector, and whether the text was truncated."""

    vector: list[float]
    truncated: bool


def embed_lines(
    loaded: LoadedModel, lines: Iterable[str], pooling: PoolingConfig, *, batch_tokens: int = 4096
) -> Iterator[TextEmbedding]:
    """Yield one vector (D) for each line, in order, in bounded memory; arXiv 1908.10084 §3.

    Raises ConfigError for a model without an encoder.
    """
    if not loaded.config.has_encoder:
        raise ConfigError(
            f"the {loaded.config.shape} model in {loaded.folder} cannot embed, which needs an "
            "encoder"
        )
    POOLINGS.check(pooling.kind)
    remaining, window_size = iter(lines), 1
    while window := list(islice(remaining, window_size)):
        yield from _embed_window(loaded, window, pooling, batch_tokens)
        window_size = min(2 * window_size, _MAX_WINDOW)


def _embed_window(
    loaded: LoadedModel, texts: Sequence[str], pooling: PoolingConfig, batch_tokens: int
) -> Iterator[TextEmbedding]:
    """Embed texts in batches sorted by length; yield the results in the order of the texts."""
    prefix_ids, suffix_ids = loaded.special_affixes
    max_tokens = min(pooling.max_tokens or loaded.config.max_positions, loaded.config.max_positions)
    max_content_tokens = max_tokens - len(prefix_ids) - len(suffix_ids)
    encoded = loaded.tokenizer.encode_batch([text[:MAX_CHARACTERS] for text in texts])
    rows = [[*prefix_ids, *ids[:max_content_tokens], *suffix_ids] for ids in encoded]
    order = sorted(range(len(rows)), key=lambda index: -len(rows[index]))
    vectors: dict[int, list[float]] = {}
    while order:
        batch_size = max(1, batch_tokens // len(rows[order[0]]))
        batch, order = order[:batch_size], order[batch_size:]
        batch_vectors = embed(loaded, [rows[index] for index in batch], pooling).tolist()
        vectors.update(zip(batch, batch_vectors, strict=True))
    for index, (text, ids) in enumerate(zip(texts, encoded, strict=True)):
        truncated = len(text) > MAX_CHARACTERS or len(ids) > max_content_tokens
        yield TextEmbedding(vectors[index], truncated)


@torch.inference_mode()
def embed(loaded: LoadedModel, rows: Sequence[Sequence[int]], pooling: PoolingConfig) -> Tensor:
    """Compute the vectors (B, D) of rows of ids that include their special tokens."""
    source_BS, positions_BS = pad_rows(rows, loaded.device)
    states_BSD = loaded.model.encode(source_BS, positions_BS).float()
    vectors_BD = POOLINGS[pooling.kind](states_BSD, (positions_BS >= 0)[:, :, None])
    return require_finite(F.normalize(vectors_BD, dim=-1) if pooling.normalize else vectors_BD)
