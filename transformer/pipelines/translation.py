"""Translation of lines, whole or sentence by sentence."""

from collections.abc import Sequence
from weakref import WeakKeyDictionary

from tokenizer import is_blank
from tokenizer.segmentation.sentences import Segment, split_segments, split_sentences

from ..decoding.constraints.stop_strings import stop_condition, truncate_at_stop
from ..decoding.request import Hypothesis, Request
from ..decoding.search.parameters import SearchParameters
from ..errors import ConfigError, LineError
from ..loading import LoadedModel
from .alignment import attention_weights, coverage_score
from .arguments import TranslateArguments
from .glossary import Term
from .languages import translation_prompt
from .loop_detection import repair_loop
from .mbr import rank_by_mbr
from .n_best import distinct_answers, fewest_answers
from .notices import Notices, that_happened
from .records import (
    MAX_CHARACTERS,
    NO_VALID_TOKEN,
    Line,
    LineTask,
    Output,
    Revision,
)
from .search_settings import grammar_constraint, is_incomplete
from .terms import TermWriter
from .unknown import check_prefix, prefix_ids, unknown_read, unknown_written

_DEFAULT_RATIO = 2.0  # of target to source tokens


class TranslationTask(LineTask[Request, list[Hypothesis], Output]):
    """Translations of lines by an encoder-decoder."""

    def __init__(
        self, loaded: LoadedModel, arguments: TranslateArguments, parameters: SearchParameters
    ) -> None:
        if not (loaded.config.has_encoder and loaded.config.has_decoder):
            raise ConfigError(
                f"the {loaded.config.shape} model in {loaded.folder} cannot translate, which needs "
                "an encoder-decoder; a decoder can `transduce generate`"
            )
        self._loaded, self._arguments = loaded, arguments
        self._parameters, self._glossary = parameters, arguments.phrases
        self._prompt = translation_prompt(
            loaded, arguments.source_language, arguments.target_language
        )
        targets = self._glossary.targets() if self._glossary else set()
        self._terms = TermWriter(
            loaded,
            [*targets, *(arguments.must or ())],
            decode=self._decode,
            encode_source=self._encode_source,
        )
        self._constraint = grammar_constraint(arguments.grammar, loaded)
        check_prefix(loaded.target_tokenizer, arguments.prefix)
        stops = arguments.stop or loaded.generation.stops  # of the model's, the text keeps its own
        self._stop = stop_condition(stops, loaded.target_tokenizer) if stops else None
        self._texts: WeakKeyDictionary[Request, str] = WeakKeyDictionary()  # of open requests

    def to_requests(self, lines: Sequence[Line]) -> list[list[Request] | LineError]:
        """See LineTask."""
        segments_by_line = [self._segments(line.text) for line in lines]
        encode = self._loaded.tokenizer.encode_batch
        rows = iter(encode([segment.text for segments in segments_by_line for segment in segments]))
        results: list[list[Request] | LineError] = []
        for line, segments in zip(lines, segments_by_line, strict=True):
            ids = [next(rows) for _ in segments]
            results.append(self._line_requests(line, segments, ids))
        return results

    def _segments(self, text: str) -> list[Segment]:
        """Split a text into segments that are translated separately: the line, or its sentences."""
        if not self._arguments.split:
            return [] if is_blank(text) else [Segment(text[: MAX_CHARACTERS + 1], "")]
        sentences, encode = split_sentences(text[:MAX_CHARACTERS]), self._loaded.tokenizer.encode
        return split_segments(sentences, lambda t: len(encode(t)), self._max_source_tokens())

    def _max_source_tokens(self) -> int:
        """Return the room for a source in the model's context, special tokens excluded."""
        affix_tokens = len(self._prompt.source_prefix) + len(self._prompt.source_suffix)
        return max(1, self._loaded.config.max_positions - affix_tokens)

    def _line_requests(
        self, line: Line, segments: Sequence[Segment], rows: Sequence[list[int]]
    ) -> list[Request] | LineError:
        """Build a line's requests, one for each segment with text."""
        if len(line.text) > MAX_CHARACTERS:
            return LineError(
                f"the line has {len(line.text):,} characters; at most {MAX_CHARACTERS:,} are read"
            )
        longest, limit = max(map(len, rows), default=0), self._max_source_tokens()
        if longest > limit:
            return LineError(
                f"the line has {longest:,} tokens; the model reads {limit:,}: shorten it, "
                "or translate its sentences one by one (--split)"
            )
        numbers = range(len(segments))
        keys = [(line.number, index) if len(segments) > 1 else (line.number,) for index in numbers]
        try:
            requests = [
                self._build_request(line, segment.text, ids, index=index, rng_key=key)
                for index, segment, ids, key in zip(numbers, segments, rows, keys, strict=True)
                if ids and not is_blank(segment.text)
            ]
        except LineError as error:  # of its own prefix
            return error
        if not requests and not is_blank(line.text):
            return LineError("the model knows none of the line's characters")
        return requests

    def _build_request(
        self, line: Line, text: str, ids: list[int], *, index: int, rng_key: tuple[int, ...]
    ) -> Request:
        """Build the request of the segment `index` of a line; the prefix belongs to the first."""
        prompt, arguments = self._prompt, self._arguments
        source = self._with_affixes(ids)
        prefix = (line.prefix or arguments.prefix) if index == 0 else ""
        min_new_tokens = max(arguments.min_tokens, int(arguments.min_ratio * len(source)))
        max_new_tokens = self._max_new_tokens(source, min_new_tokens)
        min_new_tokens = min_new_tokens or self._loaded.generation.min_new_tokens or 0
        request = Request(
            prompt=[prompt.decoder_start_id],
            source=source,
            max_new_tokens=max_new_tokens,
            rng_key=rng_key,
            min_new_tokens=min(min_new_tokens, max_new_tokens - 1),
            forced_first=prompt.forced_first,
            prefix=prefix_ids(self._loaded.target_tokenizer, prefix),
            constraint=self._constraint,
            seed=arguments.seed,
            stop=self._stop,
        )
        self._texts[request] = text
        return request

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
        return max(1, min(self._loaded.config.max_positions, limit))

    def revise(
        self, request: Request, hypotheses: list[Hypothesis]
    ) -> Revision[Request, list[Hypothesis]]:
        """Repair a looping text, then write terms; see LineTask.

        Loops of constrained requests are left, for what they demand may be repeated.
        """
        text = self._texts[request]
        is_constrained = request.constraint is not None or bool(request.prefix)
        if hypotheses and not (self._arguments.no_guard or is_constrained):
            request, hypotheses = yield from repair_loop(request, hypotheses, text)
            self._texts[request] = text
        hypotheses = yield from self._terms.revise(request, hypotheses, self._terms_for(text))
        return request, hypotheses

    def _terms_for(self, text: str) -> list[Term]:
        """Return the terms that the translation of a text must have, each once."""
        glossary = self._glossary.terms_for(text) if self._glossary else []
        from_glossary = {term.text: term for term in glossary}
        must = {text: Term(text) for text in self._arguments.must or ()}
        return list({**must, **from_glossary}.values())

    def to_outputs(
        self, line: Line, requests: Sequence[Request], hypotheses: Sequence[Sequence[Hypothesis]]
    ) -> tuple[list[Output], Notices]:
        """See LineTask. The n-th output joins the n-th best of all segments."""
        ranked = [
            distinct_answers(self._rank(r, candidates), self._parameters)
            for r, candidates in zip(requests, hypotheses, strict=True)
        ]
        parts = [outputs for outputs, _ in ranked]
        if not all(parts):
            raise LineError(NO_VALID_TOKEN)
        notices = {**self._notices(line, requests, parts), **fewest_answers(ranked)}
        if not self._arguments.split:
            return parts[0], notices
        segments = self._segments(line.text)
        n_best = min(map(len, parts))
        return [self._join(segments, [p[n] for p in parts]) for n in range(n_best)], notices

    def _notices(
        self, line: Line, requests: Sequence[Request], parts: Sequence[list[Output]]
    ) -> Notices:
        """Return what happened to a line, from the outputs of each request, best first."""
        best, ends = [outputs[0].hypothesis for outputs in parts], self._loaded.generation.end_ids
        texts = list(zip(requests, best, strict=True))
        shown = [output.hypothesis for part in parts for output in part[: self._arguments.n_best]]
        segments = self._segments(line.text)
        read = [segments[(*request.rng_key, 0)[1]].text for request in requests]
        return that_happened(
            unknown_read=unknown_read(
                self._loaded.tokenizer, read, [request.source for request in requests]
            ),
            unknown_written=unknown_written(self._loaded.target_tokenizer, shown),
            repaired=any(request.no_repeat_ngram_size for request in requests),
            unfinished=any(hypothesis.finish_reason == "length" for hypothesis in best),
            incomplete=any(is_incomplete(*text, ends) for text in texts),
            terms_unused=[term for text in texts for term in self._unused_terms(*text)],
        )

    def _unused_terms(self, request: Request, hypothesis: Hypothesis) -> list[str]:
        """Return the terms that the translation of a text should have, and has not."""
        terms = self._terms_for(self._texts[request])
        return [term.text for term in self._terms.missing(self._decode(request, hypothesis), terms)]

    def _decode(self, request: Request, hypothesis: Hypothesis) -> str:
        """Return a translation's text, up to the first stop string."""
        del request
        text, stop = self._loaded.target_tokenizer.decode(hypothesis.ids), self._arguments.stop
        return truncate_at_stop(text, stop) if stop else text

    def _rank(self, request: Request, hypotheses: Sequence[Hypothesis]) -> list[Output]:
        """Rank the outputs of one request, best first."""
        stop, beta = self._arguments.stop, self._arguments.coverage_penalty
        texts = self._loaded.target_tokenizer.decode_batch([h.ids for h in hypotheses])
        texts = [truncate_at_stop(text, stop) for text in texts] if stop else texts
        outputs = [Output(text, h, request) for text, h in zip(texts, hypotheses, strict=True)]
        if self._arguments.mbr and hypotheses:
            log_probs = [sum(h.log_probabilities) for h in hypotheses]
            outputs = [outputs[index] for index in rank_by_mbr(texts, log_probs)]
        if beta and hypotheses:
            weights = attention_weights(self._loaded, request, hypotheses)
            outputs = [
                output.with_score(output.hypothesis.score + beta * coverage_score(weights_TS))
                for output, weights_TS in zip(outputs, weights, strict=True)
            ]
            outputs.sort(key=lambda output: -output.hypothesis.score)
        return outputs

    def _join(self, segments: Sequence[Segment], outputs: Sequence[Output]) -> Output:
        """Join the translations of a line's segments with the white space between the sources."""
        texts = {o.request.rng_key[1:]: o.text for o in outputs if o.request is not None}
        text = ""
        for index, segment in enumerate(segments):
            key = (index,) if len(segments) > 1 else ()
            leading_space = segment.text[: len(segment.text) - len(segment.text.lstrip())]
            text += leading_space + texts.get(key, "") + segment.after
        hypotheses = [output.hypothesis for output in outputs]
        return Output(text, self._parameters.concatenate(hypotheses))
