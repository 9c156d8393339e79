"""The growing texts of a beam search, of all requests together, as tensors on the CPU.

Shape suffixes: N requests, C candidates, R rows (all beams of all requests), T tokens.
"""

from collections.abc import Collection, Sequence
from functools import cached_property
from itertools import compress
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..request import Request, SequenceState


class Candidates(NamedTuple):
    """Continuations of beams, those of each request best first: tensors of one shape."""

    scores: Tensor  # by which they are ranked; -inf where there is none
    parent_rows: Tensor
    tokens: Tensor
    log_probs: Tensor  # under the model

    def gather(self, indices_NC: Tensor) -> "Candidates":
        """Return the candidates at these indices."""
        return Candidates(*(part.gather(1, indices_NC) for part in self))

    def rank(self, scores_NC: Tensor) -> "Candidates":
        """Return the candidates by other scores, best first; equal ones keep their order."""
        sorted_NC, order_NC = scores_NC.sort(dim=1, descending=True, stable=True)
        return self.gather(order_NC)._replace(scores=sorted_NC)


class BeamRows:
    """The texts of all beams, `width` rows for each request, and their scores.

    All texts end in the last column, whatever their length. Before each stands the last token of
    its prompt.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.requests: list[Request] = []
        self.lengths_N = self.limits_N = torch.zeros(0, dtype=torch.long)
        self.scores_R = torch.zeros(0, dtype=torch.double)  # -inf for a beam that does not exist
        self.tokens_RT = torch.zeros(0, 1, dtype=torch.long)
        self.log_probs_RT = torch.zeros(0, 1, dtype=torch.double)

    def append(self, requests: Sequence[Request], scores: Sequence[float]) -> None:
        """Append requests; `scores` are those of each one's beams."""
        limits_N = torch.tensor([r.max_new_tokens for r in requests], dtype=torch.long)
        last_N = torch.tensor([r.prompt[-1] for r in requests], dtype=torch.long)
        rows = len(requests) * self.width
        tokens_RT = self.tokens_RT.new_zeros(rows, self.tokens_RT.size(1))
        tokens_RT[:, -1] = last_N.repeat_interleave(self.width)
        scores_R = self.scores_R.new_tensor(scores).repeat(len(requests))
        self.requests = [*self.requests, *requests]
        self.lengths_N = torch.cat([self.lengths_N, torch.zeros_like(limits_N)])
        self.limits_N = torch.cat([self.limits_N, limits_N])
        self.scores_R = torch.cat([self.scores_R, scores_R])
        self.tokens_RT = torch.cat([self.tokens_RT, tokens_RT])
        self.log_probs_RT = torch.cat([self.log_probs_RT, torch.zeros_like(tokens_RT)])

    def advance(self, chosen: Candidates) -> None:
        """Replace all rows by as many continuations."""
        self.lengths_N = self.lengths_N + 1
        self.scores_R = chosen.scores
        self.tokens_RT, self.log_probs_RT = (
            torch.cat([part.index_select(0, chosen.parent_rows), column[:, None]], dim=1)
            for part, column in (
                (self.tokens_RT, chosen.tokens),
                (self.log_probs_RT, chosen.log_probs),
            )
        )

    def drop(self, requests: Collection[Request]) -> list[int]:
        """Drop requests; return the rows that are left."""
        if not requests:
            self._trim()
            return list(range(len(self.scores_R)))
        dropped = set(requests)
        is_kept = [request not in dropped for request in self.requests]
        kept_N = torch.tensor(is_kept, dtype=torch.bool)
        kept_R = kept_N.repeat_interleave(self.width)
        self.requests = list(compress(self.requests, is_kept))
        self.lengths_N, self.limits_N = self.lengths_N[kept_N], self.limits_N[kept_N]
        self.scores_R = self.scores_R[kept_R]
        self.tokens_RT, self.log_probs_RT = self.tokens_RT[kept_R], self.log_probs_RT[kept_R]
        self._trim()
        return kept_R.nonzero()[:, 0].tolist()

    def _trim(self) -> None:
        """Drop the columns that no text reaches."""
        columns = max([1, *self.lengths_N.tolist()])
        self.tokens_RT = self.tokens_RT[:, -columns:]
        self.log_probs_RT = self.log_probs_RT[:, -columns:]

    def states(self, rows_R: Tensor) -> list[SequenceState]:
        """Return the texts of rows; beams that do not exist have none."""
        requests = [self.requests[number] for number in (rows_R // self.width).tolist()]
        return list(map(SequenceState, requests, self._texts(self.tokens_RT, rows_R)))

    def log_probs(self, rows_R: Tensor) -> list[list[float]]:
        """Return the log-probabilities of the rows' texts."""
        return self._texts(self.log_probs_RT, rows_R)

    def _texts(self, columns_RT: Tensor, rows_R: Tensor) -> list[list[Any]]:
        lengths_R = self.lengths_N[rows_R // self.width]
        lengths_R = lengths_R.masked_fill(self.scores_R[rows_R].isneginf(), 0)
        texts = zip(columns_RT[rows_R].tolist(), lengths_R.tolist(), strict=True)
        return [columns[len(columns) - length :] for columns, length in texts]


class RowStates(Sequence[SequenceState]):
    """The texts of all rows, made when one of them is read: most processors read none."""

    def __init__(self, rows: BeamRows) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows.scores_R)

    def __getitem__(self, index: Any) -> Any:
        """Return the text of a row, or those of a slice."""
        return self._all[index]

    @cached_property
    def _all(self) -> list[SequenceState]:
        return self._rows.states(torch.arange(len(self)))
