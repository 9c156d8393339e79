"""Translation of lines, whole or sentence by sentence."""

from collections.abc import Callable, Sequence
from functools import cache

from tokenizer import is_blank

from ..abilities import require_ability
from ..decoding.constraints.stop_strings import stop_condition
from ..decoding.request import Hypothesis, Request, SequenceState
from ..decoding.search.parameters import SearchParameters
from ..errors import LineError
from ..loading import LoadedModel
from .arguments import TranslateArguments
from .global_tokens import GlobalIndices, GlobalTokenChoice, TokenPlace
from .glossary import Term
from .languages import translation_prompt
from .loop_detection import repair_loop
from .n_best import distinct_answers, draw_different
from .notices import Notices, that_happened
from .records import (
    MAX_CHARACTERS,
    NO_VALID_TOKEN,
    Line,
    LineRevision,
    LineTask,
    Output,
    Revision,
)
from .search_settings import breaks_grammar, grammar_constraint
from .segment_outputs import SegmentOutputs
from .segments import (
    EncodedSegment,
    SegmentRequest,
    encode_lines,
    encode_sentences,
    segment_of,
)
from .terms import TermWriter
from .unknown import changed_prefix, check_prefix, prefix_ids, unknown_read, unknown_written

_DEFAULT_RATIO = 2.0  # of target to source tokens


class TranslationTask(LineTask[Request, list[Hypothesis], Output]):
    """Translations of lines by an encoder-decoder."""

    def __init__(
        self, loaded: LoadedModel, arguments: TranslateArguments, parameters: SearchParameters
    ) -> None:
        require_ability(loaded.config, "translate", loaded.named_folder)
        self._loaded, self._arguments = loaded, arguments
        self._parameters, self._glossary = parameters, arguments.phrases
        self._global_tokens = GlobalTokenChoice.of(loaded, arguments.global_tokens)
        self._prompt = translation_prompt(
            loaded, arguments.source_language, arguments.target_language
        )
        self._outputs = SegmentOutputs(loaded, arguments, parameters)
        self._must = [Term(text, inflects=False) for text in arguments.must or ()]
        targets = self._glossary.targets() if self._glossary else set()
        self._terms = TermWriter(
            loaded,
            [*targets, *(arguments.must or ())],
            decode=self._outputs.decode,
            encode_source=self._encode_source,
        )
        self._constraint = grammar_constraint(arguments.grammar, loaded)
        check_prefix(loaded.target_tokenizer, arguments.prefix)
        self._stop = cache(self._build_stop)
        self._stop(0)  # raises what is wrong with the strings before a line is read

    @property
    def computes(self) -> bool:
        """True if outputs of a line may need a model, while others are decoded."""
        return bool(self._glossary or self._must or self._arguments.coverage_penalty)

    def _build_stop(self, prefix_tokens: int) -> Callable[[SequenceState], bool] | None:
        """Return the stop condition of texts that begin with so many tokens of the user's own."""
        strings = self._arguments.stop or self._loaded.generation.stops  # a text keeps the latter
        tokenizer = self._loaded.target_tokenizer
        return stop_condition(strings, tokenizer, prefix_tokens=prefix_tokens) if strings else None

    def to_requests(self, lines: Sequence[Line]) -> list[list[Request] | LineError]:
        """See LineTask."""
        texts, tokenizer = [line.text for line in lines], self._loaded.tokenizer
        if self._arguments.split:
            limit = self._max_source_tokens()
            encoded = [encode_sentences(text, tokenizer, limit) for text in texts]
        else:
            encoded = encode_lines(texts, tokenizer)
        return [self._line_requests(*pair) for pair in zip(lines, encoded, strict=True)]

    def _max_source_tokens(self) -> int:
        """Return the room for a source in the model's context, special tokens excluded."""
        affix_tokens = len(self._prompt.source_prefix) + len(self._prompt.source_suffix)
        return max(1, self._loaded.config.max_positions - affix_tokens)

    def _line_requests(
        self, line: Line, encoded: Sequence[EncodedSegment]
    ) -> list[Request] | LineError:
        """Build a line's requests, one for each segment with text."""
        if len(line.text) > MAX_CHARACTERS:
            return LineError(
                f"the line has {len(line.text):,} characters; at most {MAX_CHARACTERS:,} are read"
            )
        longest, limit = (
            max((len(row.ids) for row in encoded), default=0),
            self._max_source_tokens(),
        )
        if longest > limit:
            return LineError(
                f"the line has {longest:,} tokens; the model reads {limit:,}: shorten it, "
                "or translate its sentences one by one (--split)"
            )
        indices = [index for index, row in enumerate(encoded) if not row.is_blank]
        try:
            requests = [self._build_request(line, encoded, n, indices[0]) for n in indices]
        except LineError as error:  # of its own prefix, or global tokens
            return error
        if not requests and not is_blank(line.text):
            return LineError("the model knows none of the line's characters")
        return list(requests)

    def _build_request(
        self, line: Line, encoded: Sequence[EncodedSegment], index: int, first: int
    ) -> SegmentRequest:
        """Build the request of one segment of a line; the prefix belongs to the first with text."""
        prompt, arguments = self._prompt, self._arguments
        source = self._with_affixes(encoded[index].ids)
        text = self._prefix(line) if index == first else ""
        prefix = prefix_ids(self._loaded.target_tokenizer, text)
        forced = len(prefix) + (prompt.forced_first is not None)
        min_new_tokens = max(arguments.min_tokens, int(arguments.min_ratio * len(source)))
        max_new_tokens = self._max_new_tokens(source, min_new_tokens)
        min_new_tokens = min_new_tokens or self._loaded.generation.min_new_tokens or 0
        return SegmentRequest(
            segments=[row.segment for row in encoded],
            index=index,
            prompt=[prompt.decoder_start_id],
            source=source,
            global_tokens=self._global_indices(line, encoded, index, len(source)),
            max_new_tokens=max_new_tokens,
            rng_key=(line.number, index) if len(encoded) > 1 else (line.number,),
            min_new_tokens=min(min_new_tokens, max_new_tokens - 1),
            forced_first=prompt.forced_first,
            prefix=prefix,
            constraint=self._constraint,
            seed=arguments.seed or 0,
            stop=self._stop(forced if prefix else 0),
        )

    def _global_indices(
        self, line: Line, encoded: Sequence[EncodedSegment], index: int, length: int
    ) -> GlobalIndices:
        """Return the global tokens of a segment's source."""
        before = (row.segment for row in encoded[:index])
        start = sum(len(segment.text) + len(segment.after) for segment in before)
        place = TokenPlace(len(self._prompt.source_prefix), characters=start)
        spans, text = self._global_tokens.spans(line), encoded[index].segment.text
        return self._global_tokens.indices(length, text, spans, place)

    def _prefix(self, line: Line) -> str:
        """Return the text with which a line's translation begins."""
        return line.prefix or self._arguments.prefix

    def _with_affixes(self, ids: list[int]) -> list[int]:
        return [*self._prompt.source_prefix, *ids, *self._prompt.source_suffix]

    def _encode_source(self, text: str) -> list[int]:
        return self._with_affixes(self._loaded.tokenizer.encode(text))

    def _max_new_tokens(self, source: Sequence[int], min_new_tokens: int) -> int:
        """Return the limit on the tokens of a translation.

        Without `max_tokens` it is 10 more than `max_ratio` times the source's tokens; without
        either, the model's `max_new_tokens` or `max_length`, or 10 more than twice the source's. A
        minimum that is asked for raises it.
        """
        ratio, own = self._arguments.max_ratio, self._loaded.generation
        if ratio is None and (own.max_new_tokens or own.max_length):
            default = own.max_new_tokens or (own.max_length or 0) - 1
        else:
            default = int((_DEFAULT_RATIO if ratio is None else ratio) * len(source)) + 10
        limit = self._arguments.max_tokens or max(default, min_new_tokens + 1)
        return max(1, min(self._loaded.config.target_positions, limit))

    def revise(
        self, request: Request, hypotheses: list[Hypothesis]
    ) -> Revision[Request, list[Hypothesis]]:
        """Repair a looping text, then write terms; draw samples until they differ; see LineTask.

        Loops of constrained requests are left, for what they demand may be repeated.
        """
        text = segment_of(request).text
        is_constrained = request.constraint is not None or bool(request.prefix)
        if hypotheses and not (self._arguments.no_guard or is_constrained):
            request, hypotheses = yield from repair_loop(request, hypotheses, text)
        hypotheses = yield from self._terms.revise(request, hypotheses, self._terms_for(request))
        hypotheses = yield from draw_different(
            request,
            hypotheses,
            self._parameters,
            n_best=self._arguments.n_best,
            decode=self._outputs.decode,
        )
        return request, hypotheses

    def revise_line(
        self, requests: Sequence[Request], results: Sequence[list[Hypothesis]]
    ) -> LineRevision[Request, list[Hypothesis]] | None:
        """Write what the line must have and no segment has into the likeliest segment."""
        is_split = any(len(segment_of(request).segments) > 1 for request in requests)
        if not (self._must and is_split and all(results)):
            return None
        return self._write_must(requests, list(results))

    def _write_must(
        self, requests: Sequence[Request], results: list[list[Hypothesis]]
    ) -> LineRevision[Request, list[Hypothesis]]:
        for term in self._must:
            texts = (
                self._outputs.decode(r, row[0]) for r, row in zip(requests, results, strict=True)
            )
            if any(not self._terms.missing(text, [term]) for text in texts):
                continue
            numbers = range(len(requests))
            best = max(numbers, key=lambda n: self._terms.fit(requests[n], results[n][0], term))
            results[best] = yield from self._terms.revise(requests[best], results[best], [term])
        return results

    def _terms_for(self, request: Request) -> list[Term]:
        """Return the terms that the translation of a segment must have, each once."""
        segments = segment_of(request).segments
        glossary = self._glossary.terms_for(segment_of(request).text) if self._glossary else []
        must = self._must if len(segments) == 1 else ()  # else any segment may have them
        return list({term.text: term for term in (*must, *glossary)}.values())

    def to_outputs(
        self, line: Line, requests: Sequence[Request], hypotheses: Sequence[Sequence[Hypothesis]]
    ) -> tuple[list[Output], Notices]:
        """See LineTask. The n-th output joins the n-th best of all segments."""
        n_best = self._arguments.n_best
        ranked = [
            distinct_answers(self._outputs.rank(request, candidates), n_best)[0]
            for request, candidates in zip(requests, hypotheses, strict=True)
        ]
        if not all(ranked):
            raise LineError(NO_VALID_TOKEN)
        parts = [self._outputs.until_stop(row) for row in zip(*ranked, strict=False)]
        joined = [self._outputs.join(row) for row in parts] if self._arguments.split else ranked[0]
        outputs, fewer = distinct_answers(joined, n_best)
        return outputs, {**self._notices(line, requests, parts), **fewer}

    def _notices(
        self, line: Line, requests: Sequence[Request], answers: Sequence[Sequence[Output]]
    ) -> Notices:
        """Return what happened to a line, from the parts of each of its answers, best first."""
        shown = [part for parts in answers[: self._arguments.n_best] for part in parts]
        hypotheses, grammar = [part.hypothesis for part in shown], self._arguments.grammar
        return that_happened(
            unknown_read=unknown_read(
                self._loaded.tokenizer,
                [segment_of(request).text for request in requests],
                [request.source for request in requests],
            ),
            prefix_changed=changed_prefix(
                self._loaded.target_tokenizer, self._prefix(line), requests[0].prefix
            ),
            unknown_written=unknown_written(self._loaded.target_tokenizer, hypotheses),
            repaired=any(request.no_repeat_ngram_size for request in requests),
            unfinished=any(hypothesis.finish_reason == "length" for hypothesis in hypotheses),
            incomplete=any(breaks_grammar(grammar, part.text, part.hypothesis) for part in shown),
            terms_unused=self._unused_terms(answers[0]),
        )

    def _unused_terms(self, parts: Sequence[Output]) -> list[str]:
        """Return the terms that the translation of a line should have, and has not."""
        unused = []
        for part in parts:
            assert part.request is not None
            unused += self._terms.missing(part.text, self._terms_for(part.request))
        if len(parts) > 1:
            lacking = [self._terms.missing(part.text, self._must) for part in parts]
            unused += [term for term in self._must if all(term in row for row in lacking)]
        return list(dict.fromkeys(term.text for term in unused))
