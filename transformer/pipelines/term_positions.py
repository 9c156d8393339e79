"""The places of a text where a model would write a phrase, or looks at what it translates.

Shape suffixes: B rows, T tokens, S source tokens, Q queries, V vocabulary.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import torch

from tokenizer import Tokenizer
from tokenizer.scripts import SENTENCE_ENDS, is_unspaced

from ..data import pad_rows
from ..decoding.constraints.phrase_constraint import WordTokens
from ..decoding.request import Hypothesis, Request
from ..decoding.search.tokenwise import check_log_probs
from ..loading import LoadedModel
from .alignment import attention_weights
from .phrases import Phrase

_ATTENTION_WEIGHT = 6.0  # in nats: what a model looks at tells more than what it would write
_NO_ATTENTION = 0.01  # added to attention, for none may still be wrong
_NUM_EXACT = 8  # positions at which a phrase of several tokens is scored whole
_CHUNK = 64  # distributions over the vocabulary at once


class Position(NamedTuple):
    """A place in a text where a phrase may be put."""

    start: int  # index of the first token in its place
    ids: Sequence[int]  # of the phrase there


class Draft:
    """A text into which phrases are to be put, from a token on."""

    def __init__(
        self,
        request: Request,
        hypothesis: Hypothesis,
        start: int,
        words: WordTokens,
        tokenizer: Tokenizer,
    ) -> None:
        self.request, self.hypothesis, self.start = request, hypothesis, start
        self._words, self._tokenizer = words, tokenizer
        self._first = int(request.forced_first is not None)
        ids = hypothesis.ids[self._first :]
        prefixes = [ids[:n] for n in range(len(ids) + 1)]
        self._texts = tokenizer.decode_batch(prefixes)  # before each token, and at the end

    def positions(self, phrase: Phrase) -> list[Position]:
        """Return the places for a phrase that leave room for it: before words, from left to right.

        The last one is before the punctuation at the end. In a text that is one endless word, they
        are between its tokens.
        """
        room = self.request.max_new_tokens
        words = [Position(index, self._form(phrase, index)) for index in self._indices]
        if fitting := [word for word in words if word.start + len(word.ids) <= room]:
            return fitting
        tokens = range(self.start, min(len(self.hypothesis.ids), room - len(phrase.spaced) + 1))
        return [Position(index, phrase.spaced) for index in tokens]

    def gap_start(self, position: Position, gap: int) -> int | None:
        """Return the index `gap` words before a position; None beyond its sentence or the start."""
        if not gap:
            return position.start
        number = bisect_left(self._indices, position.start) - gap
        if number < 0:
            return None
        index = self._indices[number]
        text = self._text(position.start)[len(self._text(index)) :]
        return None if any(character in SENTENCE_ENDS for character in text) else index

    @cached_property
    def _indices(self) -> list[int]:
        """The indices of tokens with which words begin, and that of the end."""
        ids, end = self.hypothesis.ids, len(self.hypothesis.ids)
        while end > self.start and not any(map(str.isalnum, self._piece(end - 1))):
            end -= 1
        begins = (n for n in range(self.start, end) if self._begins(n, ids[n]))
        return [*begins, end]

    def _begins(self, index: int, token: int) -> bool:
        begins_text = index == self._first and bool(self.request.source)
        return begins_text or self._words.begins[token]

    def _text(self, index: int) -> str:
        """Return the text before a token."""
        return self._texts[index - self._first]

    def _piece(self, index: int) -> str:
        return self._text(index + 1)[len(self._text(index)) :]

    def _form(self, phrase: Phrase, index: int) -> Sequence[int]:
        """Return the ids of a phrase at a place."""
        before, after = self._text(index).rstrip(), self._texts[-1][len(self._text(index)) :]
        begins_sentence = not before or before[-1] in SENTENCE_ENDS
        if begins_sentence and after.lstrip()[:1].isupper():
            phrase = phrase.capitalized
        if index == self._first and self.request.source:
            return phrase.initial
        last = before[-1:] or " "
        follows_mark = after[:1].isalnum() and not last.isalnum()
        is_glued = not after[:1].isspace() and (is_unspaced(last) or follows_mark)
        return phrase.unspaced if is_glued else phrase.spaced


def rank_positions(
    loaded: LoadedModel,
    request: Request,
    hypothesis: Hypothesis,
    positions: Sequence[Position],
    ablated_source: Sequence[int] | None,
) -> list[Position]:
    """Return the positions, best first.

    `ablated_source` is the source without what the phrase translates, as far as that is known. By
    attention alone the place is right in 97% of cases with a word that the model has never seen;
    where it leaves a choice, what the model would write is better.
    """
    if not positions:
        return []
    ids = hypothesis.ids
    bonuses = [0.0] * len(positions)
    if ablated_source is not None:
        span = _changed_span(request.source, ablated_source)
        bonuses = _attention_bonuses(loaded, request, hypothesis, positions, span)
    first_tokens = [(0, position.start, position.ids[0]) for position in positions]
    last = max(position.start for position in positions)
    scores = _log_probs(loaded, request, [ids[:last]], first_tokens)
    order = sorted(range(len(positions)), key=lambda n: -scores[n] - bonuses[n])
    best, others = order[:_NUM_EXACT], order[_NUM_EXACT:]
    rows = [[*ids[: positions[n].start], *positions[n].ids[:-1]] for n in best]
    later_tokens = [
        (row, positions[n].start + k, positions[n].ids[k])
        for row, n in enumerate(best)
        for k in range(1, len(positions[n].ids))
    ]
    later_scores = _log_probs(loaded, request, rows, later_tokens)
    for (row, *_), score in zip(later_tokens, later_scores, strict=True):
        scores[best[row]] += score
    best.sort(key=lambda n: -scores[n] - bonuses[n])
    return [positions[n] for n in (*best, *others)]


def _changed_span(source: Sequence[int], ablated: Sequence[int]) -> range:
    """Return the indices of a source's tokens that another one lacks.

    >>> _changed_span([1, 2, 3, 4], [1, 4])
    range(1, 3)
    """
    shorter = min(len(source), len(ablated))
    start = next((n for n in range(shorter) if source[n] != ablated[n]), shorter)
    ends = range(shorter - start)
    end = next((n for n in ends if source[-1 - n] != ablated[-1 - n]), len(ends))
    return range(start, len(source) - end)


def _attention_bonuses(
    loaded: LoadedModel,
    request: Request,
    hypothesis: Hypothesis,
    positions: Sequence[Position],
    span: range,
) -> list[float]:
    """Return the weighted logarithm of each word's attention to a span of the source."""
    (weights_TS,) = attention_weights(loaded, request, [hypothesis])
    attention = weights_TS[:, span.start : span.stop].sum(dim=1).tolist()
    ends = [position.start for position in positions[1:]]
    words = zip(positions, [*ends, len(attention)], strict=True)
    of_words = [max(attention[position.start : end], default=0.0) for position, end in words]
    return [_ATTENTION_WEIGHT * math.log(value + _NO_ATTENTION) for value in of_words]


@torch.inference_mode()
def _log_probs(
    loaded: LoadedModel,
    request: Request,
    rows: Sequence[Sequence[int]],
    queries: Sequence[tuple[int, int, int]],
) -> list[float]:
    """Return the log-probability of each query (row, n, token): of the token after n of the row."""
    if not queries:
        return []
    model, prompt = loaded.model, request.prompt
    ids_BT, positions_BT = pad_rows([[*prompt, *row] for row in rows], model.device)
    sources = {}
    if model.config.has_encoder:
        source_BS, source_positions_BS = pad_rows([request.source] * len(rows), model.device)
        sources = {"source_BS": source_BS, "source_positions_BS": source_positions_BS}
    hidden_BTD = model.hidden(ids_BT, positions_BT=positions_BT, **sources)
    row_Q, index_Q, token_Q = torch.tensor(queries, device=model.device).T
    log_probs: list[float] = []
    for first in range(0, len(queries), _CHUNK):
        part = slice(first, first + _CHUNK)
        hidden_QD = hidden_BTD[row_Q[part], len(prompt) - 1 + index_Q[part]]
        log_probs_QV = model.logits(hidden_QD[None])[0].float().log_softmax(dim=-1)
        chosen_Q = check_log_probs(log_probs_QV.gather(1, token_Q[part, None]))[:, 0]
        log_probs += chosen_Q.tolist()
    return log_probs
