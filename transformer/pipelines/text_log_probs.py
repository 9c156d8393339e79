"""The log-probabilities of whole texts under a model, in one pass.

Shape suffixes: B rows, T tokens, S source tokens, D d_model, Q queries, V vocabulary.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from ..data import pad_rows
from ..decoding.request import Request
from ..decoding.search.tokenwise import check_log_probs
from ..loading import LoadedModel

_MAX_TOKENS = 2048  # of the rows of one pass, padding included
_CHUNK = 64  # distributions over the vocabulary at once


class Query(NamedTuple):
    """A token after the first tokens of a row."""

    row: int
    num_before: int
    token: int


def text_log_probs(
    loaded: LoadedModel, request: Request, texts: Sequence[Sequence[int]]
) -> list[list[float]]:
    """Return the log-probability of each token of each text, which follow the request's prompt.

    `request` says what they are texts of: its prompt and its source.
    """
    longest = len(request.prompt) + max(map(len, texts), default=0)
    num_rows, log_probs = max(1, _MAX_TOKENS // longest), list[list[float]]()
    for first in range(0, len(texts), num_rows):
        part = texts[first : first + num_rows]
        queries = [
            Query(row, index, token)
            for row, text in enumerate(part)
            for index, token in enumerate(text)
        ]
        found = iter(query_log_probs(loaded, request, [text[:-1] for text in part], queries))
        log_probs += ([next(found) for _ in text] for text in part)
    return log_probs


@torch.inference_mode()
def query_log_probs(
    loaded: LoadedModel,
    request: Request,
    rows: Sequence[Sequence[int]],
    queries: Sequence[Query],
) -> list[float]:
    """Return the log-probability of each query's token after the beginning of its row."""
    if not queries:
        return []
    model, prompt = loaded.model, request.prompt
    inputs = pad_rows([[*prompt, *row] for row in rows], model.device)
    if model.config.has_encoder:
        chosen = [request.global_tokens]
        source = pad_rows([request.source], model.device, global_tokens=chosen)  # of all rows
        inputs = inputs._replace(source=source)
    hidden_BTD = model.hidden(inputs)
    row_Q, index_Q, token_Q = torch.tensor(queries, device=model.device).T
    log_probs: list[float] = []
    for first in range(0, len(queries), _CHUNK):
        part = slice(first, first + _CHUNK)
        hidden_QD = hidden_BTD[row_Q[part], len(prompt) - 1 + index_Q[part]]
        log_probs_QV = model.logits(hidden_QD[None])[0].float().log_softmax(dim=-1)
        chosen_Q = check_log_probs(log_probs_QV.gather(1, token_Q[part, None]))[:, 0]
        log_probs += chosen_Q.tolist()
    return log_probs
