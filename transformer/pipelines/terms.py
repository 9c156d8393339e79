"""Terms put into texts where what they translate is, by decoding again from there.

A text is decoded as it would be without terms. One that has them all is left alone. Else the first
missing term comes instead of what translates the same words, or where the model would write it, and
the rest of the text stays. In other versions the rest is free, or a few words before the term are,
for they may have to agree with it: they are preferred where they are much more likely.
"""

import math
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from functools import cached_property

from ..decoding.constraints.phrase_constraint import PhraseConstraint, WordTokens, both
from ..decoding.request import Hypothesis, Request
from ..loading import LoadedModel
from .glossary import Term
from .loop_detection import ends_in_loop
from .phrases import Phrase, are_forms_of_one, repeats_words
from .term_positions import Draft, Position
from .term_ranking import (
    insertion_log_probs,
    rank_aligned,
    rank_insertions,
    rank_unaligned,
)
from .word_tokens import word_tokens

_MAX_GAP = 2  # words before a term that are free
_MAX_LOSS = 4.0  # nats for which they may be less likely than before: an ending, no other word
_KEPT_GAP = 2.0  # nats for which the words that stand there are preferred
_NUM_POSITIONS = 3  # that are tried in turn until there is a text
_MAX_ATTEMPTS = 2  # of one term, for a text may lose it again

Hypotheses = list[Hypothesis]  # best first
Texts = Generator[Request, Hypotheses, Hypotheses]  # yields requests, is sent their hypotheses


class TermWriter:
    """Terms written into the texts of a model."""

    def __init__(
        self,
        loaded: LoadedModel,
        texts: Sequence[str],
        *,
        decode: Callable[[Request, Hypothesis], str],
        encode_source: Callable[[str], list[int]] | None = None,
    ) -> None:
        """Prepare all terms that there can be.

        `decode` returns what is shown of a hypothesis; `encode_source` encodes a source as requests
        have it: without it, texts continue their prompts. Raises ConfigError for a term that the
        tokenizer cannot encode.
        """
        self._loaded, self._tokenizer = loaded, loaded.target_tokenizer
        self._decode, self._encode_source = decode, encode_source
        self._phrases = {text: Phrase(self._tokenizer, text) for text in texts}

    @cached_property
    def _words(self) -> WordTokens:
        size, end_ids = self._loaded.config.vocab_size, self._loaded.generation.end_ids
        return word_tokens(self._tokenizer, size, end_ids)

    @cached_property
    def _source_begins(self) -> Sequence[bool]:
        """True for the tokens with which words of a source begin."""
        tokenizer = self._loaded.tokenizer
        return word_tokens(tokenizer, tokenizer.vocab_size, ()).begins

    def missing(self, text: str, terms: Sequence[Term]) -> list[Term]:
        """Return the terms that a text lacks."""
        return [
            term
            for term in terms
            if not self._phrases[term.text].is_in(text, inflects=term.inflects)
        ]

    def fit(self, request: Request, hypothesis: Hypothesis, term: Term) -> float:
        """Return the log-probability of a term at its likeliest position in a text."""
        draft = Draft(request, hypothesis, _start(request), self._words, self._tokenizer)
        positions = draft.positions(self._phrases[term.text])
        return max(insertion_log_probs(self._loaded, draft, positions), default=-math.inf)

    def revise(self, request: Request, hypotheses: Hypotheses, terms: Sequence[Term]) -> Texts:
        """Write the terms into the first text that lacks one, and return the best texts.

        There are as many as before: the best one, which stays where it had all terms, and then
        those with the most terms.
        """
        if not terms:
            return hypotheses
        lacking = [h for h in hypotheses if self._missing(request, h, terms)]
        if not lacking:
            return hypotheses
        written = yield from self._write_all(request, lacking[0], terms, len(hypotheses))
        best = written[0] if lacking[0] is hypotheses[0] else hypotheses[0]
        others = {tuple(h.ids): h for h in (*written, *hypotheses) if h.ids != best.ids}
        ranks = {
            ids: (len(self._missing(request, h, terms)), -h.score) for ids, h in others.items()
        }
        ranked = sorted(others, key=ranks.__getitem__)
        return [best, *(others[ids] for ids in ranked)][: len(hypotheses)]

    def _missing(
        self, request: Request, hypothesis: Hypothesis, terms: Sequence[Term]
    ) -> list[Term]:
        return self.missing(self._decode(request, hypothesis), terms)

    def _write_all(
        self, request: Request, hypothesis: Hypothesis, terms: Sequence[Term], count: int
    ) -> Texts:
        """Write terms that a text lacks, from left to right.

        A term that the source asks for in several places comes instead of the same word in each.
        """
        current, attempts = [hypothesis], Counter[str]()
        again: tuple[Term, str] | None = None  # a term, and the word that it has replaced once
        start = _start(request)
        while True:
            draft = Draft(request, current[0], start, self._words, self._tokenizer)
            if again is None:
                missing = self._missing(request, current[0], terms)
                missing = [term for term in missing if attempts[term.text] < _MAX_ATTEMPTS]
                if not missing:
                    return current
                ranked = [(self._rank(draft, term), term) for term in missing]
                positions, term = min(
                    ranked, key=lambda entry: [position.start for position in entry[0][:1]]
                )
            else:
                term, word = again
                positions = [p for p in self._rank(draft, term) if draft.replaced(p) == word]
            attempts[term.text] += 1 if positions else _MAX_ATTEMPTS
            again = None
            for position in positions:
                if written := (yield from self._write(draft, term, position, count)):
                    current, word = written, draft.replaced(position)
                    if word and attempts[term.text] < term.num_places:
                        again = term, word
                    start = _find(position.ids, written[0].ids, draft.start) + len(position.ids)
                    break

    def _rank(self, draft: Draft, term: Term) -> list[Position]:
        """Return the positions for a term in a text that are tried, best first."""
        positions = draft.positions(self._phrases[term.text])
        if self._encode_source is None:
            ranked = rank_insertions(self._loaded, draft, positions)
        elif term.ablated_source is None:
            ranked = rank_unaligned(self._loaded, draft, positions, self._source_begins)
            words, last = draft.instead_of_words(positions), term.text.split()[-1]
            forms = [p for p in words if are_forms_of_one(draft.replaced(p), last)]
            ranked = [*forms, *ranked]
        else:
            ablated = self._encode_source(term.ablated_source)
            ranked = rank_aligned(self._loaded, draft, positions, ablated, term.source_words)
        if term.num_places > 1 and ranked:  # from left to right
            same = [p for p in ranked if draft.replaced(p) == draft.replaced(ranked[0])]
            ranked = [*sorted(same), *(p for p in ranked if p not in same)]
        return ranked[:_NUM_POSITIONS]

    def _write(self, draft: Draft, term: Term, position: Position, count: int) -> Texts:
        """Write a term at a position, in `count` versions or those that there are, best first.

        The rest stays as it was. It is free in a continuation, and where that gives no text or too
        few.
        """
        rests: list[Sequence[int]] = [()]
        if self._encode_source is not None:
            rests = [draft.hypothesis.tokens[position.end :], ()]
        versions = dict[tuple[int, ...], Hypothesis]()
        for rest in rests:
            found = yield from self._write_with_rest(draft, term, position, rest)
            versions = {tuple(h.ids): h for h in (*versions.values(), *found)}
            if len(versions) >= count:
                break
        return list(versions.values())

    def _write_with_rest(
        self, draft: Draft, term: Term, position: Position, rest: Sequence[int]
    ) -> Texts:
        """Write a term and a rest, with more and more words before it free; best first."""
        scores = dict[int, float]()
        versions: Hypotheses = []
        for gap in range(_MAX_GAP + 1):
            start = draft.gap_start(position, gap)
            if start is None:
                break
            for hypothesis in (yield self._request(draft, position, gap, start, rest)):
                is_fluent = _gap_loss(draft, hypothesis, position, start) <= _MAX_LOSS
                if is_fluent and self._is_usable(draft, hypothesis, term, position):
                    versions.append(hypothesis)
                    bonus = 0.0 if gap else _KEPT_GAP
                    scores[id(hypothesis)] = sum(hypothesis.log_probabilities) + bonus
        return sorted(versions, key=lambda hypothesis: -scores[id(hypothesis)])

    def _request(
        self, draft: Draft, position: Position, gap: int, start: int, rest: Sequence[int]
    ) -> Request:
        """Return the request of a version: `gap` words from `start` on, the term, a rest.

        An empty rest is free.
        """
        request = draft.request
        constraint = PhraseConstraint(
            [*position.ids, *rest],
            self._words,
            start=start,
            gap=gap,
            gap_tokens=2 * (position.start - start) + 4,
        )
        return replace(
            request,
            prefix=draft.hypothesis.ids[request.forced_first is not None : start],
            constraint=both(request.constraint, constraint),
        )

    def _is_usable(
        self, draft: Draft, hypothesis: Hypothesis, term: Term, position: Position
    ) -> bool:
        """Return True for a text that has the term, is as whole as before, with nothing twice."""
        before = draft.hypothesis
        is_cut = before.finished and not hypothesis.finished
        loops = ends_in_loop(hypothesis.ids) and not ends_in_loop(before.ids)
        if is_cut or loops or self._missing(draft.request, hypothesis, [term]):
            return False
        kept = before._replace(ids=[*before.ids[: position.start], *before.ids[position.end :]])
        old, rest, new = (self._decode(draft.request, h) for h in (before, kept, hypothesis))
        return not repeats_words(new, old, rest, self._phrases[term.text].text)


def _start(request: Request) -> int:
    """Return the index of the first token of a text that is not forced."""
    return len(request.prefix) + (request.forced_first is not None)


def _gap_loss(draft: Draft, hypothesis: Hypothesis, position: Position, start: int) -> float:
    """Return by how many nats the words before a term, from `start` on, are less likely."""
    before, after = draft.hypothesis.log_probabilities, hypothesis.log_probabilities
    end = _find(position.ids, hypothesis.ids, start)
    return sum(before[start : position.start]) - sum(after[start:end])


def _find(phrase: Sequence[int], ids: Sequence[int], start: int) -> int:
    """Return the index of a phrase in a text, at `start` or later; its length without one.

    >>> _find([1, 2], [1, 2, 3, 1, 2, 4], start=1)
    3
    """
    indices = (n for n in range(start, len(ids)) if [*ids[n : n + len(phrase)]] == [*phrase])
    return next(indices, len(ids))
