"""Texts to vectors: an encoder's states, pooled.

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

_WINDOW = 512  # lines that are sorted by length together, once as many have been read
MAX_CHARACTERS = 100_000  # of a text that are looked at


def _mean(states_BSD: Tensor, real_BS1: Tensor) -> Tensor:
    return (states_BSD * real_BS1).sum(dim=1) / real_BS1.sum(dim=1)


def _first(states_BSD: Tensor, real_BS1: Tensor) -> Tensor:
    del real_BS1
    return states_BSD[:, 0]


def _max(states_BSD: Tensor, real_BS1: Tensor) -> Tensor:
    return states_BSD.masked_fill(~real_BS1, float("-inf")).amax(dim=1)


POOLINGS: Registry[Callable[[Tensor, Tensor], Tensor]] = Registry(
    "pooling", {"mean": _mean, "first": _first, "max": _max}
)


class TextEmbedding(NamedTuple):
    """One text's vector, and whether the text was cut."""

    vector: list[float]
    shortened: bool


def embed_lines(
    loaded: LoadedModel, lines: Iterable[str], pooling: PoolingConfig, *, batch_tokens: int = 4096
) -> Iterator[TextEmbedding]:
    """One vector (D) a line, in order, in bounded memory; arXiv 1908.10084 §3.

    Raises ConfigError for a model without an encoder.
    """
    if not loaded.config.has_encoder:
        raise ConfigError(
            f"the {loaded.config.shape} model in {loaded.folder} cannot embed, which needs an "
            "encoder"
        )
    POOLINGS.check(pooling.kind)
    waiting, size = iter(lines), 1
    while window := list(islice(waiting, size)):
        yield from _window(loaded, window, pooling, batch_tokens)
        size = min(2 * size, _WINDOW)


def _window(
    loaded: LoadedModel, texts: Sequence[str], pooling: PoolingConfig, batch_tokens: int
) -> Iterator[TextEmbedding]:
    before, after = loaded.special_affixes
    most = min(pooling.max_tokens or loaded.config.max_positions, loaded.config.max_positions)
    room = most - len(before) - len(after)
    encoded = loaded.tokenizer.encode_batch([text[:MAX_CHARACTERS] for text in texts])
    rows = [[*before, *ids[:room], *after] for ids in encoded]
    order = sorted(range(len(rows)), key=lambda place: -len(rows[place]))
    vectors: dict[int, list[float]] = {}
    while order:
        taken = max(1, batch_tokens // len(rows[order[0]]))
        batch, order = order[:taken], order[taken:]
        found = embed(loaded, [rows[place] for place in batch], pooling).tolist()
        vectors.update(zip(batch, found, strict=True))
    for place, (text, ids) in enumerate(zip(texts, encoded, strict=True)):
        yield TextEmbedding(vectors[place], len(text) > MAX_CHARACTERS or len(ids) > room)


@torch.inference_mode()
def embed(loaded: LoadedModel, rows: Sequence[Sequence[int]], pooling: PoolingConfig) -> Tensor:
    """The vectors (B, D) of texts as ids, their frames included."""
    source_BS, positions_BS = pad_rows(rows, loaded.device)
    states_BSD = loaded.model.encode(source_BS, positions_BS).float()
    vectors_BD = POOLINGS[pooling.kind](states_BSD, (positions_BS >= 0)[:, :, None])
    return require_finite(F.normalize(vectors_BD, dim=-1) if pooling.normalize else vectors_BD)
