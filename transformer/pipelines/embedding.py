"""Text embeddings: the states of an encoder, or of a decoder, pooled.

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
from ..errors import ConfigError, LineError
from ..finite import require_finite
from ..loading import DenseLayer, LoadedModel, PoolingConfig
from ..pooling import POOLINGS
from ..registry import Registry
from .executors import ForwardExecutor
from .global_tokens import GlobalIndices, GlobalTokenChoice, TokenPlace
from .line_pipeline import answer_lines
from .notices import Notices, that_happened
from .records import MAX_CHARACTERS, Answer, Line, LineSource, LineTask
from .unknown import unknown_read

DENSE_ACTIVATIONS: Registry[Callable[[Tensor], Tensor]] = Registry(
    "activation of a Dense module",
    {
        "identity": lambda vectors_BD: vectors_BD,
        "tanh": torch.tanh,
        "relu": F.relu,
        "gelu": F.gelu,
        "silu": F.silu,
        "sigmoid": torch.sigmoid,
    },
)


class EmbeddingOutput(NamedTuple):
    """One text's vector (D), and whether the text was truncated."""

    vector: Tensor
    truncated: bool


@dataclass(frozen=True, eq=False)
class EmbeddingRequest:
    """The ids of a text, with its special tokens; the first `unpooled` ones are only read."""

    text: str  # as the tokenizer got it
    ids: list[int]
    truncated: bool
    unpooled: int = 0
    global_tokens: GlobalIndices = None


class EmbeddingTask(LineTask[EmbeddingRequest, Tensor, EmbeddingOutput]):
    """Vectors of lines; arXiv 1908.10084 §3."""

    def __init__(
        self,
        loaded: LoadedModel,
        pooling: PoolingConfig,
        *,
        prompt: str = "",
        global_tokens: int | None = None,
    ) -> None:
        check_pooling(loaded, pooling)
        self._global_tokens = GlobalTokenChoice.of(loaded, global_tokens)
        self._loaded, self._pooling = loaded, pooling
        self._prefix_ids, self._suffix_ids = (
            loaded.special_affixes
            if loaded.config.has_encoder or loaded.config.labels
            else loaded.tokenizer.special_affixes()
        )
        context = loaded.config.max_positions
        limit = min(pooling.max_tokens or context, context)
        self._limit = limit - len(self._prefix_ids) - len(self._suffix_ids)
        if self._limit < 1:
            raise ConfigError(
                f"{loaded.folder} cuts texts at {limit} tokens, of which its special tokens leave "
                "none"
            )
        self._prompt, self._unpooled = prompt, 0
        if prompt and not pooling.pool_prompt:
            ids = loaded.tokenizer.encode(self._prepare(prompt))
            self._unpooled = len(self._prefix_ids) + len(ids)

    def _prepare(self, text: str) -> str:
        text = text.strip() if self._pooling.strip else text
        return text.lower() if self._pooling.lower else text

    def to_requests(self, lines: Sequence[Line]) -> list[list[EmbeddingRequest] | LineError]:
        """See LineTask. A text is cut where the model's context ends."""
        texts = [self._prepare(self._prompt + line.text[:MAX_CHARACTERS]) for line in lines]
        rows = self._loaded.tokenizer.encode_batch(texts)
        return [self._requests(*each) for each in zip(lines, texts, rows, strict=True)]

    def _requests(
        self, line: Line, text: str, ids: list[int]
    ) -> list[EmbeddingRequest] | LineError:
        try:
            return [self._build_request(line, text, ids)]
        except LineError as error:  # of its global tokens
            return error

    def _build_request(self, line: Line, text: str, ids: list[int]) -> EmbeddingRequest:
        truncated = len(line.text) > MAX_CHARACTERS or len(ids) > self._limit
        kept = [*self._prefix_ids, *ids[: self._limit], *self._suffix_ids]
        kept = kept or [self._loaded.generation.end_id]
        unpooled = min(self._unpooled, len(kept) - 1)
        chosen = self._global_indices(line, text, kept)
        return EmbeddingRequest(text, kept, truncated, unpooled, chosen)

    def _global_indices(self, line: Line, text: str, kept: list[int]) -> GlobalIndices:
        whole = self._prompt + line.text
        stripped = len(whole) - len(whole.lstrip()) if self._pooling.strip else 0
        first = stripped - len(self._prompt)  # the prompt's characters come before the text's own
        place = TokenPlace(len(self._prefix_ids), 0, self._limit, first)
        spans = self._global_tokens.spans(line)
        return self._global_tokens.indices(len(kept), text, spans, place)

    def to_outputs(
        self, line: Line, requests: Sequence[EmbeddingRequest], results: Sequence[Tensor]
    ) -> tuple[list[EmbeddingOutput], Notices]:
        """See LineTask."""
        (request,), (vector,) = requests, results
        notices = that_happened(
            shortened=request.truncated,
            unknown_read=unknown_read(self._loaded.tokenizer, [request.text], [request.ids]),
        )
        return [EmbeddingOutput(vector, request.truncated)], notices


def embed_lines(
    loaded: LoadedModel,
    source: LineSource,
    pooling: PoolingConfig,
    *,
    prompt: str = "",
    global_tokens: int | None = None,
    budget: int = 4096,
    counts: Counter[str] | None = None,
) -> Iterator[Answer[EmbeddingOutput]]:
    """Yield one vector for each line, in order, in bounded memory.

    `prompt` is put before each text, `budget` limits the tokens of a batch; `global_tokens`: see
    GlobalTokenChoice; `counts`: see `answer_lines`. Raises ConfigError for a pooling that cannot
    be computed.
    """
    counts = Counter() if counts is None else counts

    def compute(batch: Sequence[EmbeddingRequest]) -> list[Tensor]:
        rows, unpooled = [request.ids for request in batch], [r.unpooled for r in batch]
        chosen = [request.global_tokens for request in batch]
        vectors_BD = embed(loaded, rows, pooling, unpooled=unpooled, global_tokens=chosen)
        return list(vectors_BD.cpu())

    executor = ForwardExecutor(compute, lambda request: len(request.ids), budget=budget)
    task = EmbeddingTask(loaded, pooling, prompt=prompt, global_tokens=global_tokens)
    return answer_lines(source, task, executor, counts)


def choose_prompt(pooling: PoolingConfig, prompt: str | None, name: str | None) -> str:
    """Return the text to put before texts: as it is, by its name, or the model's default.

    Raises ConfigError for a name that the model does not have.
    """
    if prompt is not None:
        return prompt
    name = pooling.default_prompt if name is None else name
    if name is None:
        return ""
    if name not in pooling.prompts:
        names = ", ".join(sorted(pooling.prompts)) or "none"
        raise ConfigError(f"the model has no prompt {name!r}; it has: {names}")
    return pooling.prompts[name]


def check_pooling(loaded: LoadedModel, pooling: PoolingConfig) -> int:
    """Return the size of the vectors; raise an error for a pooling that cannot be computed."""
    POOLINGS.check(pooling.kind)
    width = loaded.config.d_model
    for number, layer in enumerate(pooling.dense, 1):
        DENSE_ACTIVATIONS.check(layer.activation)
        if layer.weight.size(1) != width:
            raise ConfigError(
                f"{loaded.folder}: its Dense module {number} takes vectors of "
                f"{layer.weight.size(1)} numbers; it gets {width}"
            )
        width = layer.weight.size(0)
    return width


@torch.inference_mode()
def embed(
    loaded: LoadedModel,
    rows: Sequence[Sequence[int]],
    pooling: PoolingConfig,
    *,
    unpooled: Sequence[int] | None = None,
    global_tokens: Sequence[GlobalIndices] = (),
) -> Tensor:
    """Compute the vectors (B, D) of rows of ids that include their special tokens.

    The first `unpooled` tokens of each row are read, and left out of the pooling.
    """
    inputs = pad_rows(rows, loaded.device, global_tokens=global_tokens)
    has_encoder = loaded.config.has_encoder
    states_BSD = (loaded.model.encode if has_encoder else loaded.model.hidden)(inputs).float()
    first_B = torch.tensor(unpooled or [0] * len(rows), device=loaded.device)
    assert inputs.positions_BT is not None
    mask_BS1 = (inputs.positions_BT >= first_B[:, None])[:, :, None]
    vectors_BD = POOLINGS[pooling.kind](states_BSD, mask_BS1)
    for layer in pooling.dense:
        vectors_BD = _apply_dense(layer, vectors_BD)
    return require_finite(F.normalize(vectors_BD, dim=-1) if pooling.normalize else vectors_BD)


def _apply_dense(layer: DenseLayer, vectors_BD: Tensor) -> Tensor:
    bias = None if layer.bias is None else layer.bias.to(vectors_BD)
    mapped_BD = F.linear(vectors_BD, layer.weight.to(vectors_BD), bias)
    return DENSE_ACTIVATIONS[layer.activation](mapped_BD)
