"""Terms put into texts where what they translate is, by decoding again from there.

A text is decoded as it would be without terms. One that has them all is left alone. Else the first
missing term goes where the model looks at the words that it translates, or would write it: the text
before is kept, the term is forced, and the rest is free. So are a few words before the term, in
other versions, for they may have to agree with it. Of these texts the model's own score picks.
"""

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from functools import cached_property

from ..decoding.constraints.phrase_constraint import PhraseConstraint, WordTokens, both
from ..decoding.request import Hypothesis, Request
from ..loading import LoadedModel
from .glossary import Term
from .loop_detection import ends_in_loop
from .phrases import Phrase
from .term_positions import Draft, Position, rank_positions
from .word_tokens import word_tokens

_MAX_GAP = 2  # words before a term that are free
_MAX_LOSS = 4.0  # nats for which they may be less likely than before: an ending, no other word
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

    def missing(self, text: str, terms: Sequence[Term]) -> list[Term]:
        """Return the terms that a text lacks."""
        return [term for term in terms if not self._phrases[term.text].is_in(text)]

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
        written = yield from self._write_all(request, lacking[0], terms)
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

    def _write_all(self, request: Request, hypothesis: Hypothesis, terms: Sequence[Term]) -> Texts:
        """Write terms that a text lacks, from left to right."""
        current, attempts = [hypothesis], Counter[str]()
        start = len(request.prefix) + (request.forced_first is not None)
        while True:
            missing = self._missing(request, current[0], terms)
            missing = [term for term in missing if attempts[term.text] < _MAX_ATTEMPTS]
            if not missing:
                return current
            draft = Draft(request, current[0], start, self._words, self._tokenizer)
            ranked = [(self._rank(draft, term), term) for term in missing]
            positions, term = min(
                ranked, key=lambda entry: [position.start for position in entry[0][:1]]
            )
            attempts[term.text] += 1 if positions else _MAX_ATTEMPTS
            for position in positions[:_NUM_POSITIONS]:
                if written := (yield from self._write(draft, term, position)):
                    current = written
                    index = _find(position.ids, written[0].ids, draft.start)
                    start = index + len(position.ids)
                    break

    def _rank(self, draft: Draft, term: Term) -> list[Position]:
        """Return the positions for a term in a text, best first."""
        ablated = None
        if term.ablated_source is not None and self._encode_source is not None:
            ablated = self._encode_source(term.ablated_source)
        positions = draft.positions(self._phrases[term.text])
        return rank_positions(self._loaded, draft.request, draft.hypothesis, positions, ablated)

    def _write(self, draft: Draft, term: Term, position: Position) -> Texts:
        """Write a term at a position, with more and more words before it free; best first.

        They are ranked by their whole probability: by its mean, those with more words would win.
        """
        written: dict[tuple[int, ...], Hypothesis] = {}
        for gap in range(_MAX_GAP + 1):
            start = draft.gap_start(position, gap)
            if start is None:
                break
            constraint = PhraseConstraint(
                position.ids,
                self._words,
                start=start,
                gap=gap,
                gap_tokens=2 * (position.start - start) + 4,
            )
            request, hypothesis = draft.request, draft.hypothesis
            hypotheses = yield replace(
                request,
                prefix=hypothesis.ids[request.forced_first is not None : start],
                constraint=both(request.constraint, constraint),
            )
            good = (h for h in hypotheses if self._is_usable(draft, h, term))
            fluent = (h for h in good if _gap_loss(draft, h, position, start) <= _MAX_LOSS)
            written.update((tuple(h.ids), h) for h in fluent)
        return sorted(written.values(), key=lambda h: -sum(h.log_probabilities))

    def _is_usable(self, draft: Draft, hypothesis: Hypothesis, term: Term) -> bool:
        """Return True for a text that has the term, and is as whole as the one before."""
        before = draft.hypothesis
        is_cut = before.finished and not hypothesis.finished
        loops = ends_in_loop(hypothesis.ids) and not ends_in_loop(before.ids)
        return not (is_cut or loops or self._missing(draft.request, hypothesis, [term]))


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
