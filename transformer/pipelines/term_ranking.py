"""The best positions for a phrase in a text: instead of what translates the same words, or new.

The words of a text that translate a span of the source are those that a model looks at the span
for, and that it would not write without the span. Attention is that of the step that predicts a
token and, with less weight, of the step that reads it (arXiv 2004.14837 §3.1): the verb after a
subject is predicted from the subject, but read as itself.

Shape suffixes: T tokens, S source tokens.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher

from torch import Tensor
from torch.nn.functional import pad

from ..loading import LoadedModel
from .alignment import attention_weights
from .term_positions import Draft, Position
from .text_log_probs import Query, query_log_probs, text_log_probs

# Of 279 nouns in captions, with words that the model had never seen, 98% were replaced by these.
_ATTENTION_WEIGHT = 4.0  # in nats, of the logarithm of attention
_MAX_INFLUENCE = 4.0  # nats: by more, a word that depends on the span is no better than its own
_NO_ATTENTION = 0.01  # added to attention, for none may still be wrong
_MIN_ATTENTION = 0.1  # to a span by the words that translate it
_REST_WEIGHT = 0.1  # of the probability of all but the phrase, among a few positions
_NUM_WORDS = 3  # among which that decides
_MAX_REPLACED = 3  # words instead of which a phrase may come
_WORD_COST, _MAX_COST = 8.0, 12.0  # nats, of each word more than the source has; of all of them
_WORD_GAIN = 3.0  # nats, of each other word: of 108 phrases of two words, 99 were replaced whole
_NUM_EXACT = 8  # positions at which a new phrase of several tokens is scored whole
_MIN_INFLUENCE = 2.0  # nats, of a word of the source on the one that translates it
_MIN_MARGIN = 4.0  # nats by which a word to be replaced must be the best, if it is not known


def rank_aligned(
    loaded: LoadedModel,
    draft: Draft,
    positions: Sequence[Position],
    ablated: Sequence[int],
    source_words: int,
) -> list[Position]:
    """Return positions for a phrase that translates a span of the source, best first.

    `ablated` is the source without the span, which has so many words. There are no positions where
    a translation of the span stands before the draft's start, as in a prefix.
    """
    if not positions:
        return []
    translation = _TranslatedSpan(loaded, draft, ablated)
    if translation.is_before_start:
        return []
    replacing = translation.positions(positions, source_words)
    return replacing or rank_insertions(loaded, draft, positions)


def rank_unaligned(
    loaded: LoadedModel,
    draft: Draft,
    positions: Sequence[Position],
    source_begins: Sequence[bool],
) -> list[Position]:
    """Return positions for a phrase of which it is not known what it translates, best first.

    It comes instead of a word only where that is clearly better than instead of any other: of
    words that the model had never seen, 93% then replaced the right one. `source_begins` is True
    for each token with which a word of a source begins.
    """
    words = draft.instead_of_words(positions)
    scores = _instead_scores(loaded, draft, words, source_begins)
    ranked = sorted(scores, key=scores.__getitem__, reverse=True)
    margins = [scores[ranked[0]] - scores[second] for second in ranked[1:2]]
    is_clear = bool(ranked) and all(margin >= _MIN_MARGIN for margin in margins)
    insertions = rank_insertions(loaded, draft, positions)
    return [ranked[0], *insertions] if is_clear else insertions


def _instead_scores(
    loaded: LoadedModel, draft: Draft, words: Sequence[Position], source_begins: Sequence[bool]
) -> dict[Position, float]:
    """Return the scores of texts with a phrase instead of a word, for each that may be replaced.

    That is one which would not be there without the word of the source that it translates. A score
    is the log-probability of the phrase, and half of that of all else without that word.
    """
    if not words:
        return {}
    (weights_TS,) = attention_weights(loaded, draft.request, [draft.hypothesis])
    plain, scores = draft.hypothesis.ids, dict[Position, float]()
    whole = text_log_probs(loaded, draft.request, [plain, *map(draft.with_phrase, words)])
    for word, log_probs in zip(words, whole[1:], strict=True):
        index = int(weights_TS[word.start : word.end].sum(dim=0).argmax())
        ablated = _without_word(draft.request.source, index, source_begins)
        request = replace(draft.request, source=ablated)
        before, after = text_log_probs(loaded, request, [plain, draft.with_phrase(word)])
        own = slice(word.start, word.end)
        if sum(whole[0][own]) - sum(before[own]) < _MIN_INFLUENCE:
            continue
        phrase = slice(word.start, word.start + len(word.ids))
        scores[word] = sum(log_probs[phrase]) + (sum(after) - sum(after[phrase])) / 2
    return scores


def _without_word(source: Sequence[int], index: int, begins: Sequence[bool]) -> list[int]:
    """Return a source without the word of a token.

    >>> _without_word([1, 2, 3, 1, 4], 2, begins=[False, True, False, False, True])
    [1, 4]
    """
    start, end = index, index + 1
    while start > 0 and not begins[source[start]]:
        start -= 1
    while end < len(source) and not begins[source[end]]:
        end += 1
    return [*source[:start], *source[end:]]


class _TranslatedSpan:
    """The words of a text that translate a span of its source."""

    def __init__(self, loaded: LoadedModel, draft: Draft, ablated: Sequence[int]) -> None:
        self._loaded, self._draft = loaded, draft
        self._requests = draft.request, replace(draft.request, source=ablated)
        span = _changed_indices(draft.request.source, ablated)
        (weights_TS,) = attention_weights(loaded, draft.request, [draft.hypothesis])
        self._attention = _smooth(weights_TS[:, span].sum(dim=1))
        with_span, without = (
            text_log_probs(loaded, request, [draft.hypothesis.ids])[0] for request in self._requests
        )
        self._influence = [a - b for a, b in zip(with_span, without, strict=True)]
        self._words = draft.word_spans()  # the last one is empty

    def _score(self, tokens: range) -> float:
        """Return how likely it is that tokens translate the span, in nats."""
        attention = max((self._attention[n] for n in tokens), default=0.0)
        influence = min(_MAX_INFLUENCE, max(0.0, sum(self._influence[n] for n in tokens)))
        return _ATTENTION_WEIGHT * math.log(attention + _NO_ATTENTION) + influence

    @property
    def is_before_start(self) -> bool:
        """True if the words that translate the span are before the draft's start."""
        before = (self._score(range(n, n + 1)) for n in range(self._draft.start))
        return max(before, default=-math.inf) > max(map(self._score, self._words))

    def positions(self, positions: Sequence[Position], source_words: int) -> list[Position]:
        """Return those of the positions that replace a translation of the span, best first."""
        starts = {p.start: p for p in positions}
        scores = {n: self._score(tokens) for n, tokens in enumerate(self._words)}
        best = sorted(scores, key=scores.__getitem__, reverse=True)[:_NUM_WORDS]
        single = {
            n: replacing
            for n in best
            if max((self._attention[t] for t in self._words[n]), default=0.0) > _MIN_ATTENTION
            and (start := starts.get(self._words[n].start)) is not None
            and (replacing := self._draft.replacing(start, 1)) is not None
        }
        rests = self._log_probs_of_rests(list(single.values()))
        order = sorted(single, key=lambda n: -scores[n] - _REST_WEIGHT * rests[single[n]])
        return [self._extend(n, starts, source_words) for n in order]

    def _extend(self, best: int, starts: dict[int, Position], source_words: int) -> Position:
        """Return the position of all the words that translate the span, around the best one.

        Those before it are among them only where the span has several words, too: else they are
        articles and the like, which stay.
        """
        costs = dict[Position, float]()
        score = self._score(self._words[best])
        for first in range(max(0, best - min(source_words, _MAX_REPLACED) + 1), best + 1):
            start = starts.get(self._words[first].start)
            for end in range(best + 1, first + _MAX_REPLACED + 1):
                others = [n for n in range(first, min(end, len(self._words))) if n != best]
                replacing = start and self._draft.replacing(start, end - first)
                if replacing:
                    extra = max(0, len(others) - source_words + 1)
                    worse = sum(score - self._score(self._words[n]) for n in others)
                    expected = len(others) - extra
                    costs[replacing] = worse + _WORD_COST * extra - _WORD_GAIN * expected
        options = [option for option, cost in costs.items() if cost <= _MAX_COST]
        if len(options) == 1:
            return options[0]
        rests = self._log_probs_of_rests(options)
        return max(options, key=lambda option: rests[option] - costs[option])

    def _log_probs_of_rests(self, options: Sequence[Position]) -> dict[Position, float]:
        """Return the log-probability of each text but its phrase, with and without the span."""
        texts = [self._draft.with_phrase(option) for option in options]
        totals = dict.fromkeys(options, 0.0)
        for request in self._requests:
            rows = text_log_probs(self._loaded, request, texts)
            for option, log_probs in zip(options, rows, strict=True):
                phrase = slice(option.start, option.start + len(option.ids))
                totals[option] += sum(log_probs) - sum(log_probs[phrase])
        return totals


def _smooth(attention_T: Tensor) -> list[float]:
    """Return the attention of each token: of the step that predicts it, and of the next one.

    >>> _smooth(torch.tensor([0.75, 0.375]))
    [0.625, 0.25]
    """
    read_T = pad(attention_T[1:], (0, 1))
    smoothed: list[float] = ((2 * attention_T + read_T) / 3).tolist()
    return smoothed


def _changed_indices(source: Sequence[int], ablated: Sequence[int]) -> list[int]:
    """Return the indices of a source's tokens that another one lacks.

    >>> _changed_indices([1, 2, 3, 4, 2, 3], [1, 4])
    [1, 2, 4, 5]
    """
    shorter = min(len(source), len(ablated))
    start = next((n for n in range(shorter) if source[n] != ablated[n]), shorter)
    ends = range(shorter - start)
    end = next((n for n in ends if source[-1 - n] != ablated[-1 - n]), len(ends))
    changed, left = source[start : len(source) - end], ablated[start : len(ablated) - end]
    blocks = (
        SequenceMatcher(None, changed, left, autojunk=False).get_matching_blocks() if left else []
    )
    kept = {index for block in blocks for index in range(block.a, block.a + block.size)}
    return [start + index for index in range(len(changed)) if index not in kept]


def rank_insertions(
    loaded: LoadedModel, draft: Draft, positions: Sequence[Position]
) -> list[Position]:
    """Return the positions by how probable a new phrase is there, the best first."""
    log_probs = insertion_log_probs(loaded, draft, positions)
    order = sorted(range(len(positions)), key=lambda n: -log_probs[n])
    return [positions[n] for n in order]


def insertion_log_probs(
    loaded: LoadedModel, draft: Draft, positions: Sequence[Position]
) -> list[float]:
    """Return the log-probability of a new phrase at each position.

    At all but the best positions, by its first token, the phrase counts as impossible.
    """
    request, ids = draft.request, draft.hypothesis.ids
    first_tokens = [Query(0, position.start, position.ids[0]) for position in positions]
    last = max((position.start for position in positions), default=0)
    of_first = query_log_probs(loaded, request, [ids[:last]], first_tokens)
    best = sorted(range(len(positions)), key=lambda n: -of_first[n])[:_NUM_EXACT]
    scores = [of_first[n] if n in best else -math.inf for n in range(len(positions))]
    rows = [[*ids[: positions[n].start], *positions[n].ids[:-1]] for n in best]
    later_tokens = [
        Query(row, positions[n].start + k, positions[n].ids[k])
        for row, n in enumerate(best)
        for k in range(1, len(positions[n].ids))
    ]
    later_scores = query_log_probs(loaded, request, rows, later_tokens)
    for query, score in zip(later_tokens, later_scores, strict=True):
        scores[best[query.row]] += score
    return scores
