"""Text generation: one prompt streamed piece by piece, or many line by line."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ..decoding.constraints.stop_strings import StopStringBuffer, truncate_at_stop
from ..decoding.engine import Engine
from ..decoding.request import (
    Constraint,
    Hypothesis,
    PreviousContext,
    Request,
    RequestFinished,
    SearchOptions,
    concatenate,
)
from ..decoding.scheduler import Scheduler
from ..errors import ConfigError, LineError, PromptError
from ..loading import LoadedModel
from ..registry import Registry
from .engines import plain_engine
from .glossary import phrase_ids
from .line_pipeline import decode_lines
from .mbr import rank_by_mbr
from .records import MAX_CHARACTERS, NO_VALID_TOKEN, Answer, Line, LineSource, LineTask, Output


@dataclass(frozen=True, kw_only=True)
class GenerationOptions:
    """Options of text generation."""

    search: str = "sample"
    options: SearchOptions
    max_tokens: int = 256
    min_tokens: int = 0
    overflow: str = "error"  # in OVERFLOWS
    stop: Sequence[str] = ()  # stop strings, which options.stop detects; the text is cut there
    required_phrases: Sequence[str] = ()  # for beam search only
    mbr: bool = False  # rank samples by minimum Bayes risk
    constraint: Constraint | None = None
    batch_tokens: int = 4096  # of one batch: prompts and new tokens
    allow_empty_prompt: bool = False  # else its line is answered with an empty one


def _reject_overflow(
    ids: list[int], prefix_length: int, context: int, max_new_tokens: int
) -> list[int]:
    """Return the prompt unchanged; raise PromptError unless it leaves room for a token."""
    del prefix_length, max_new_tokens
    if len(ids) < context:
        return ids
    raise PromptError(
        f"the prompt has {len(ids):,} tokens; the model's context is {context:,}, and one must be "
        "left to generate: shorten the prompt, or have its beginning dropped (--overflow left)"
    )


def truncate_left(
    ids: list[int], prefix_length: int, context: int, max_new_tokens: int
) -> list[int]:
    """Drop tokens after the prefix so that `max_new_tokens` fit, or at most half of the context.

    The first `prefix_length` ids, with which the model begins every text, are kept.
    """
    limit = context - max(1, min(max_new_tokens, context // 2))
    if len(ids) <= limit:
        return ids
    return [*ids[:prefix_length], *ids[len(ids) - max(1, limit - prefix_length) :]]


# Treatment of long prompts: (ids, prefix_length, context, max_new_tokens) -> ids. "slide" also
# continues from the last half of the context whenever that is full.
OVERFLOWS: Registry[Callable[[list[int], int, int, int], list[int]]] = Registry(
    "overflow", {"error": _reject_overflow, "left": truncate_left, "slide": truncate_left}
)


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
    if loaded.config.has_encoder or not loaded.config.has_decoder:
        raise ConfigError(
            f"the {loaded.config.shape} model in {loaded.folder} cannot generate text, which "
            "needs a decoder-only model: an encoder-decoder can `transduce translate`, an encoder "
            "`transduce embed`"
        )


class GenerationTask(LineTask[Request, list[Hypothesis], Output]):
    """Continuations of prompts by a decoder.

    `counts` is incremented by "unfinished" lines.
    """

    def __init__(
        self, loaded: LoadedModel, options: GenerationOptions, counts: Counter[str]
    ) -> None:
        check_decoder(loaded)
        OVERFLOWS.check(options.overflow)
        if options.overflow == "slide" and (options.search == "beam" or options.options.n_best > 1):
            raise ConfigError(
                "--overflow slide continues one text; it cannot be combined with beams or samples"
            )
        self._loaded, self._options, self._counts = loaded, options, counts
        self._prefix_ids = loaded.tokenizer.special_affixes()[0]
        self._phrase_ids = [
            phrase_ids(loaded.target_tokenizer, word) for word in options.required_phrases
        ]

    def to_requests(self, lines: Sequence[Line]) -> list[list[Request] | LineError]:
        """See LineTask."""
        visible = slice(0, MAX_CHARACTERS)
        if self._options.overflow != "error":
            visible = slice(-MAX_CHARACTERS, None)
        rows = self._loaded.tokenizer.encode_batch([line.text[visible] for line in lines])
        prompts = ([*self._prefix_ids, *ids] for ids in rows)
        return [self._line_requests(line, ids) for line, ids in zip(lines, prompts, strict=True)]

    def _line_requests(self, line: Line, ids: list[int]) -> list[Request] | LineError:
        """Build a line's request from the ids of its prompt; none for an empty line."""
        if not line.text.strip() and not self._options.allow_empty_prompt:
            return []
        try:
            if len(line.text) > MAX_CHARACTERS and self._options.overflow == "error":
                raise PromptError(
                    f"the prompt has {len(line.text):,} characters; "
                    f"at most {MAX_CHARACTERS:,} are read"
                )
            return [self.build_request(ids or [self._loaded.generation.end_id], line)]
        except PromptError as error:
            return error

    def build_request(self, ids: list[int], line: Line) -> Request:
        """Build the request that continues `ids`; raise PromptError where there is no room."""
        options, context = self._options, self._loaded.config.max_positions
        ids = OVERFLOWS[options.overflow](ids, len(self._prefix_ids), context, options.max_tokens)
        max_new_tokens = min(options.max_tokens, context - len(ids))
        return Request(
            prompt=ids,
            max_new_tokens=max_new_tokens,
            rng_key=(line.number,),
            min_new_tokens=min(options.min_tokens, options.max_tokens - 1),
            prefix=self._loaded.target_tokenizer.encode(line.prefix) if line.prefix else [],
            phrases=self._phrase_ids,
            constraint=options.constraint,
        )

    def follow_up(self, request: Request, hypotheses: Sequence[Hypothesis]) -> Request | None:
        """Continue from the last half of a full context, with "slide"; see LineTask."""
        is_full = bool(hypotheses) and hypotheses[0].finish_reason == "length"
        if self._options.overflow != "slide" or not is_full:
            return None
        previous = self._with_previous_context(request, hypotheses[0])
        remaining = self._options.max_tokens - len(previous.ids)
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
                _first_prompt(request), previous.ids, previous.log_probabilities
            ),
        )

    def _with_previous_context(self, request: Request, hypothesis: Hypothesis) -> Hypothesis:
        """Prepend the tokens that were generated before the context was full."""
        before = request.previous_context
        if before is None:
            return hypothesis
        earlier = Hypothesis(before.ids, 0.0, before.log_probabilities, "end")
        return concatenate([earlier, hypothesis], self._options.options)

    def to_outputs(
        self, line: Line, requests: Sequence[Request], hypotheses: Sequence[Sequence[Hypothesis]]
    ) -> list[Output]:
        """See LineTask."""
        del line
        (request,), (candidates,) = requests, hypotheses
        if not candidates:
            raise LineError(NO_VALID_TOKEN)
        self._counts["unfinished"] += candidates[0].finish_reason == "length"
        complete = [self._with_previous_context(request, h) for h in candidates]
        outputs = [Output(self._continuation(request, h), h, request) for h in complete]
        if not self._options.mbr:
            return outputs
        log_probs = [sum(h.log_probabilities) for h in complete]
        order = rank_by_mbr([output.text for output in outputs], log_probs)
        return [outputs[index] for index in order]

    def _continuation(self, request: Request, hypothesis: Hypothesis) -> str:
        """Decode the text after the prompt, up to the first stop string."""
        decode, prompt = self._loaded.tokenizer.decode, _first_prompt(request)
        text = decode([*prompt, *hypothesis.ids])[len(decode(prompt)) :]
        return truncate_at_stop(text, self._options.stop) if self._options.stop else text


def _first_prompt(request: Request) -> Sequence[int]:
    """Return the prompt with which the text began, whatever its context has dropped since."""
    before = request.previous_context
    return request.prompt if before is None else before.prompt


def stream_text(
    loaded: LoadedModel, prompt: str, options: GenerationOptions, *, engine: Engine | None = None
) -> Iterator[str]:
    """Yield the continuation of a prompt in pieces. See `stream`."""
    return stream(loaded, encode_prompt(loaded, prompt), options, engine=engine)


def stream(
    loaded: LoadedModel,
    ids: list[int],
    options: GenerationOptions,
    *,
    engine: Engine | None = None,
) -> Iterator[str]:
    """Yield the continuation of `ids` in pieces that never end inside a character or stop string.

    Closing the iterator ends the decoding. Raises PromptError where the prompt leaves no room,
    ConfigError for beam search and several samples, LineError where no token is allowed.
    """
    if options.search == "beam" or options.options.n_best > 1:
        raise ConfigError("beam search and several samples cannot be streamed")
    task = GenerationTask(loaded, options, Counter())
    request: Request | None = replace(task.build_request(ids, Line(0, "")), stream=True)
    assert request is not None
    detokenizer = loaded.tokenizer.stream(request.prompt)
    stop_buffer = StopStringBuffer(options.stop) if options.stop else None
    engine = engine or plain_engine(loaded, options.search, options.options)
    with Scheduler([engine], budget=options.batch_tokens) as scheduler:
        while request is not None:
            scheduler.submit([request])
            hypotheses: list[Hypothesis] = []
            for event in scheduler.events():
                if isinstance(event, RequestFinished):
                    hypotheses = event.hypotheses
                elif event.finish_reason != "end":
                    piece = detokenizer.feed(event.id)
                    if visible := stop_buffer.feed(piece) if stop_buffer else piece:
                        yield visible
            no_valid_token, request = not hypotheses, task.follow_up(request, hypotheses)
    remainder = detokenizer.flush()
    if remainder := stop_buffer.feed(remainder) + stop_buffer.flush() if stop_buffer else remainder:
        yield remainder
    if no_valid_token:
        raise LineError(NO_VALID_TOKEN)


def generate(
    loaded: LoadedModel,
    source: LineSource,
    options: GenerationOptions,
    *,
    engines: Sequence[Engine] = (),
    counts: Counter[str] | None = None,
) -> Iterator[Answer[Output]]:
    """Continue any number of prompts, in order and in bounded memory, with any search.

    `counts`: see `answer_lines` and GenerationTask. Raises ConfigError for a model that is not a
    decoder.
    """
    counts = Counter() if counts is None else counts
    return decode_lines(
        source,
        GenerationTask(loaded, options, counts),
        engines or [plain_engine(loaded, options.search, options.options)],
        budget=options.batch_tokens,
        counts=counts,
    )
