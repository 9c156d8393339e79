"""Text generation: the requests that continue prompts, and the texts that come of them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

from tokenizer import is_blank

from ..abilities import require_ability
from ..decoding.constraints.stop_strings import stop_condition, truncate_at_stop
from ..decoding.request import (
    Constraint,
    Hypothesis,
    PreviousContext,
    Request,
    SequenceState,
)
from ..decoding.search.parameters import SearchParameters
from ..errors import ConfigError, LineError, PromptError
from ..loading import LoadedModel
from .arguments import GenerateArguments
from .arguments.generate import MAX_TOKENS
from .glossary import Term
from .mbr import rank_by_mbr
from .n_best import distinct_answers, draw_different
from .notices import Notices, that_happened
from .overflow import OVERFLOWS, truncate_left
from .records import MAX_CHARACTERS, NO_VALID_TOKEN, Line, LineTask, Output, Revision
from .search_settings import breaks_grammar, grammar_constraint
from .terms import TermWriter
from .unknown import changed_prefix, prefix_ids, unknown_read, unknown_written


def encode_prompt(loaded: LoadedModel, prompt: str) -> list[int]:
    """Encode a prompt, after the special tokens with which the model begins every text.

    An empty prompt becomes the end token, after which a new document begins. Raises ConfigError for
    a model that is not a decoder.
    """
    check_decoder(loaded)
    ids = [*loaded.tokenizer.special_affixes()[0], *loaded.tokenizer.encode(prompt)]
    return ids or [loaded.generation.end_id]


def check_decoder(loaded: LoadedModel) -> None:
    """Raise ConfigError unless the model is a decoder."""
    require_ability(loaded.config, "generate", loaded.named_folder)


class GenerationTask(LineTask[Request, list[Hypothesis], Output]):
    """Continuations of prompts by a decoder."""

    computes = False  # outputs need no model

    def __init__(
        self,
        loaded: LoadedModel,
        arguments: GenerateArguments,
        parameters: SearchParameters,
        *,
        allow_empty: bool = False,
    ) -> None:
        check_decoder(loaded)
        self._overflow = OVERFLOWS[arguments.overflow]
        if self._overflow.slides and not parameters.can_stream:
            raise ConfigError(
                "--overflow slide continues one text; it cannot be combined with beams or "
                "samples: leave out --beam, --n-best and --mbr, or say --overflow left"
            )
        self._loaded, self._arguments = loaded, arguments
        self._parameters, self._allow_empty = parameters, allow_empty
        self._prefix_ids = loaded.tokenizer.special_affixes()[0]
        self._must = [Term(text, inflects=False) for text in dict.fromkeys(arguments.must or ())]
        self._terms = TermWriter(
            loaded, [term.text for term in self._must], decode=self._continuation
        )
        self._max_tokens = arguments.max_tokens or loaded.generation.max_new_tokens or MAX_TOKENS
        if arguments.min_tokens > self._max_tokens:
            raise ConfigError(
                f"--min-tokens {arguments.min_tokens} is more than the default of --max-tokens, "
                f"{self._max_tokens}: give --max-tokens too"
            )
        self.stop_strings = arguments.stop or []  # a text ends before these
        self._constraint, self._stop = cache(self._build_constraint), cache(self._build_stop)
        if not allow_empty:
            self._constraint(True)  # raises what is wrong with it before a line is read

    def _build_constraint(self, continuing: bool) -> Constraint | None:
        """Return the constraint of texts that follow a prompt's or not."""
        return grammar_constraint(self._arguments.grammar, self._loaded, continuing=continuing)

    def _build_stop(
        self, continuing: bool, prefix_tokens: int
    ) -> Callable[[SequenceState], bool] | None:
        """Return the stop condition of texts that follow a prompt's or not.

        They begin with so many tokens of the user's own.
        """
        strings = self.stop_strings or self._loaded.generation.stops  # a text keeps the latter
        return (
            stop_condition(
                strings,
                self._loaded.target_tokenizer,
                continuing=continuing,
                prefix_tokens=prefix_tokens,
            )
            if strings
            else None
        )

    def to_requests(self, lines: Sequence[Line]) -> list[list[Request] | LineError]:
        """See LineTask."""
        drops_beginning = self._overflow.drops_beginning
        visible = slice(-MAX_CHARACTERS, None) if drops_beginning else slice(0, MAX_CHARACTERS)
        rows = self._loaded.tokenizer.encode_batch([line.text[visible] for line in lines])
        prompts = ([*self._prefix_ids, *ids] for ids in rows)
        return [self._line_requests(line, ids) for line, ids in zip(lines, prompts, strict=True)]

    def _line_requests(self, line: Line, ids: list[int]) -> list[Request] | LineError:
        """Build a line's request from the ids of its prompt; none for an empty line."""
        if is_blank(line.text) and not self._allow_empty:
            return []
        try:
            if len(line.text) > MAX_CHARACTERS and not self._overflow.drops_beginning:
                raise PromptError(
                    f"the prompt has {len(line.text):,} characters; "
                    f"at most {MAX_CHARACTERS:,} are read"
                )
            ids = ids or [self._loaded.generation.end_id]
            return [self.build_request(ids, line, continuing=bool(line.text))]
        except (PromptError, LineError) as error:
            return error

    def build_request(
        self, ids: list[int], line: Line, *, continuing: bool, stream: bool = False
    ) -> Request:
        """Build the request that continues `ids`; with `continuing` they are text.

        Raises PromptError where there is no room.
        """
        arguments, context = self._arguments, self._loaded.config.max_positions
        max_tokens = self._max_tokens
        kept = self._fit(ids)
        max_new_tokens, own = min(max_tokens, context - len(kept)), self._loaded.generation
        if own.max_length and not (arguments.max_tokens or own.max_new_tokens):
            max_new_tokens = max(1, min(max_new_tokens, own.max_length - len(kept)))
        min_new_tokens = arguments.min_tokens or own.min_new_tokens or 0
        prefix = prefix_ids(self._loaded.target_tokenizer, line.prefix)
        return Request(
            prompt=kept,
            is_cut=len(kept) < len(ids) or len(line.text) > MAX_CHARACTERS,
            max_new_tokens=max_new_tokens,
            rng_key=(line.number,),
            min_new_tokens=min(min_new_tokens, max_tokens - 1),
            prefix=prefix,
            constraint=self._constraint(continuing),
            seed=arguments.drawn_seed or 0,
            stop=self._stop(continuing, len(prefix)),
            stream=stream,
        )

    def _fit(self, ids: list[int]) -> list[int]:
        """Return a prompt with room for a token after it.

        Raises PromptError where its beginning may not be dropped.
        """
        context = self._loaded.config.max_positions
        if self._overflow.drops_beginning:
            return truncate_left(ids, len(self._prefix_ids), context, self._max_tokens)
        if len(ids) < context:
            return ids
        raise PromptError(
            f"the prompt has {len(ids):,} tokens; the model's context is {context:,}, and one must "
            "be left to generate: shorten the prompt, or have its beginning dropped "
            f"(--overflow left{self._slide_offer})"
        )

    @property
    def _slide_offer(self) -> str:
        """The other remedy for a short context, for a search that has it."""
        return ", or slide to write on beyond the context" if self._parameters.can_stream else ""

    def revise(
        self, request: Request, hypotheses: list[Hypothesis]
    ) -> Revision[Request, list[Hypothesis]]:
        """Continue a text whose context is full, write terms, draw until samples differ."""
        while (following := self.follow_up(request, hypotheses)) is not None:
            request, hypotheses = following, (yield following)
        hypotheses = yield from self._terms.revise(request, hypotheses, self._must)
        hypotheses = yield from draw_different(
            request,
            hypotheses,
            self._parameters,
            n_best=self._arguments.n_best,
            decode=self._continuation,
        )
        return request, hypotheses

    def follow_up(self, request: Request, hypotheses: Sequence[Hypothesis]) -> Request | None:
        """Return the request that goes on from the last half of a full context, with "slide"."""
        is_full = bool(hypotheses) and hypotheses[0].finish_reason == "length"
        if not (self._overflow.slides and is_full):
            return None
        previous = self.with_previous_context(request, hypotheses[0])
        remaining = self._max_tokens - len(previous.ids)
        if remaining <= 0:
            return None
        context = self._loaded.config.max_positions
        prompt = truncate_left(
            [*request.prompt, *hypotheses[0].ids], len(self._prefix_ids), context, context
        )
        return replace(
            request,
            prompt=prompt,
            max_new_tokens=min(remaining, context - len(prompt)),
            rng_key=(*request.rng_key[:1], len(previous.ids)),
            prefix=(),
            previous_context=PreviousContext(
                _first_prompt(request),
                previous.ids,
                previous.log_probabilities,
                _first_prefix(request),
            ),
        )

    def with_previous_context(self, request: Request, hypothesis: Hypothesis) -> Hypothesis:
        """Prepend the tokens that were generated before the context was full."""
        before = request.previous_context
        if before is None:
            return hypothesis
        earlier = Hypothesis(before.ids, 0.0, before.log_probabilities, "end")
        return self._parameters.concatenate([earlier, hypothesis])

    def to_outputs(
        self, line: Line, requests: Sequence[Request], hypotheses: Sequence[Sequence[Hypothesis]]
    ) -> tuple[list[Output], Notices]:
        """See LineTask."""
        (request,), (candidates,) = requests, hypotheses
        if not candidates:
            raise LineError(NO_VALID_TOKEN)
        complete = [self.with_previous_context(request, h) for h in candidates]
        outputs = [Output(self._continuation(request, h), h, request) for h in complete]
        if self._arguments.mbr:
            log_probs = [sum(h.log_probabilities) for h in complete]
            order = rank_by_mbr([output.text for output in outputs], log_probs)
            outputs = [outputs[index] for index in order]
        outputs, fewer = distinct_answers(outputs, self._arguments.n_best)
        best = [output.hypothesis for output in outputs[: self._arguments.n_best]]
        begins = changed_prefix(self._loaded.tokenizer, line.prefix, _first_prefix(request))
        changed = that_happened(prefix_changed=begins)
        return outputs, {**self.notices(line.text, request, best), **changed, **fewer}

    def notices(self, text: str, request: Request, hypotheses: Sequence[Hypothesis]) -> Notices:
        """Return what happened to a prompt and to the whole texts that were generated after it."""
        prompt, grammar = _first_prompt(request), self._arguments.grammar
        written = [self._continuation(request, hypothesis) for hypothesis in hypotheses]
        cut = [hypothesis for hypothesis in hypotheses if hypothesis.finish_reason == "length"]
        full = [hypothesis for hypothesis in cut if self._fills_context(prompt, hypothesis)]
        unused = self._terms.missing(written[0], self._must)
        return that_happened(
            unknown_read=unknown_read(self._loaded.tokenizer, [text], [prompt]) if text else [],
            unknown_written=unknown_written(self._loaded.target_tokenizer, hypotheses),
            prompt_shortened=request.is_cut,
            unfinished=len(cut) > len(full),
            context_full=bool(full),
            incomplete=any(
                breaks_grammar(grammar, *answer) for answer in zip(written, hypotheses, strict=True)
            ),
            terms_unused=[term.text for term in unused],
        )

    def _fills_context(self, prompt: Sequence[int], hypothesis: Hypothesis) -> bool:
        """Return True for a text that ended where the context did, before --max-tokens."""
        length = len(hypothesis.ids)
        is_full = len(prompt) + length >= self._loaded.config.max_positions
        return is_full and length < self._max_tokens

    def _continuation(self, request: Request, hypothesis: Hypothesis) -> str:
        """Decode the text after the prompt, up to the first stop string after its prefix."""
        decode, prompt = self._loaded.tokenizer.decode, _first_prompt(request)
        length = len(decode(prompt))
        text = decode([*prompt, *hypothesis.ids])[length:]
        if not self.stop_strings:
            return text
        start = len(decode([*prompt, *_first_prefix(request)])) - length
        return truncate_at_stop(text, self.stop_strings, start)


def _first_prompt(request: Request) -> Sequence[int]:
    """Return the prompt with which the text began, whatever its context has dropped since."""
    before = request.previous_context
    return request.prompt if before is None else before.prompt


def _first_prefix(request: Request) -> Sequence[int]:
    """Return the tokens with which the text had to begin; see `_first_prompt`."""
    before = request.previous_context
    return request.prefix if before is None else before.prefix
