"""Text embeddings: an encoder's states, pooled.

Shape suffixes: B texts, S tokens, D d_model.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..data import pad_rows
from ..errors import ConfigError
from ..finite import require_finite
from ..loading import LoadedModel, PoolingConfig
from ..registry import Registry
from .executors import ForwardExecutor
from .line_pipeline import answer_lines
from .notices import Notices, that_happened
from .records import MAX_CHARACTERS, Answer, Line, LineSource, LineTask


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


class EmbeddingOutput(NamedTuple):
    """One text's vector (D), and whether the text was truncated."""

    vector: Tensor
    truncated: bool


@dataclass(frozen=True, eq=False)
class EmbeddingRequest:
    """The ids of a text, with its special tokens."""

    ids: list[int]
    truncated: bool


class EmbeddingTask(LineTask[EmbeddingRequest, Tensor, EmbeddingOutput]):
    """Vectors of lines; arXiv 1908.10084 §3."""

    def __init__(self, loaded: LoadedModel, pooling: PoolingConfig) -> None:
        if not loaded.config.has_encoder:
            raise ConfigError(
                f"the {loaded.config.shape} model in {loaded.folder} cannot embed, which needs an "
                "encoder"
            )
        POOLINGS.check(pooling.kind)
        self._loaded = loaded
        self._prefix_ids, self._suffix_ids = loaded.special_affixes
        context = loaded.config.max_positions
        limit = min(pooling.max_tokens or context, context)
        self._limit = limit - len(self._prefix_ids) - len(self._suffix_ids)

    def to_requests(self, lines: Sequence[Line]) -> list[list[EmbeddingRequest]]:
        """See LineTask. A text is cut where the model's context ends."""
        texts = [line.text[:MAX_CHARACTERS] for line in lines]
        rows = self._loaded.tokenizer.encode_batch(texts)
        return [[self._build_request(*pair)] for pair in zip(lines, rows, strict=True)]

    def _build_request(self, line: Line, ids: list[int]) -> EmbeddingRequest:
        truncated = len(line.text) > MAX_CHARACTERS or len(ids) > self._limit
        kept = [*self._prefix_ids, *ids[: self._limit], *self._suffix_ids]
        return EmbeddingRequest(kept, truncated)

    def to_outputs(
        self, line: Line, requests: Sequence[EmbeddingRequest], results: Sequence[Tensor]
    ) -> tuple[list[EmbeddingOutput], Notices]:
        """See LineTask."""
        del line
        (request,), (vector,) = requests, results
        shortened = that_happened(shortened=request.truncated)
        return [EmbeddingOutput(vector, request.truncated)], shortened


def embed_lines(
    loaded: LoadedModel,
    source: LineSource,
    pooling: PoolingConfig,
    *,
    budget: int = 4096,
    counts: Counter[str] | None = None,
) -> Iterator[Answer[EmbeddingOutput]]:
    """Yield one vector for each line, in order, in bounded memory.

    `budget` limits the tokens of a batch; `counts`: see `answer_lines`. Raises
    ConfigError for a model without an encoder.
    """
    counts = Counter() if counts is None else counts

    def compute(batch: Sequence[EmbeddingRequest]) -> list[Tensor]:
        return list(embed(loaded, [request.ids for request in batch], pooling).cpu())

    executor = ForwardExecutor(compute, lambda request: len(request.ids), budget=budget)
    return answer_lines(source, EmbeddingTask(loaded, pooling), executor, counts)


@torch.inference_mode()
def embed(loaded: LoadedModel, rows: Sequence[Sequence[int]], pooling: PoolingConfig) -> Tensor:
    """Compute the vectors (B, D) of rows of ids that include their special tokens."""
    source_BS, positions_BS = pad_rows(rows, loaded.device)
    states_BSD = loaded.model.encode(source_BS, positions_BS).float()
    vectors_BD = POOLINGS[pooling.kind](states_BSD, (positions_BS >= 0)[:, :, None])
    return require_finite(F.normalize(vectors_BD, dim=-1) if pooling.normalize else vectors_BD)
