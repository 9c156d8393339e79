"""Prompts in, continuations out: one piece by piece, or many line for line."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from ..decoding.constraints.stop_strings import StopStringBuffer, truncate_at_stop
from ..decoding.engine import Engine, run
from ..decoding.request import (
    Constraint,
    Hypothesis,
    PreviousContext,
    Request,
    RequestFinished,
    SearchOptions,
    TokenEvent,
    concatenate,
)
from ..errors import ConfigError, LineError, PromptError
from ..loading import LoadedModel
from ..registry import Registry
from .engines import plain_engine
from .glossary import phrase_ids
from .mbr import rank_by_mbr
from .records import MAX_CHARACTERS, NO_VALID_TOKEN, Answer, Line, LineSource, Output
from .scheduler import answer_lines


@dataclass(frozen=True, kw_only=True)
class GenerationOptions:
    """How to continue prompts."""

    search: str = "sample"
    options: SearchOptions
    max_tokens: int = 256
    min_tokens: int = 0
    overflow: str = "error"  # in OVERFLOWS
    stop: Sequence[str] = ()  # what options.stop looks for, which is not shown
    required_phrases: Sequence[str] = ()  # words that every text has; beam search alone obeys
    mbr: bool = False  # the sample that is most like the others
    constraint: Constraint | None = None
    batch_tokens: int = 4096  # of prompts and what is written, in one batch
    allow_empty_prompt: bool = False  # whether an empty prompt is one, rather than an empty line


def _refuse(ids: list[int], head: int, context: int, most: int) -> list[int]:
    """The prompt as it is, where it leaves room for a token."""
    del head, most
    if len(ids) < context:
        return ids
    raise PromptError(
        f"the prompt has {len(ids):,} tokens; the model's context is {context:,}, and one must be "
        "left to write into: shorten the prompt, or let its beginning go (--overflow left)"
    )


def keep_end(ids: list[int], head: int, context: int, most: int) -> list[int]:
    """The prompt's end, with room for what is to be written, at most half of the context, after
    the `head` tokens that the model begins all texts with."""
    room = context - max(1, min(most, context // 2))
    return ids if len(ids) <= room else [*ids[:head], *ids[len(ids) - max(1, room - head) :]]


# What becomes of a prompt: (ids, of which so many begin every text, context, most to write) -> ids.
# Of these, "slide" also goes on when the context is full, from the last half of it.
OVERFLOWS: Registry[Callable[[list[int], int, int, int], list[int]]] = Registry(
    "overflow", {"error": _refuse, "left": keep_end, "slide": keep_end}
)


def encode_prompt(loaded: LoadedModel, prompt: str) -> list[int]:
    """The prompt's ids, after those that the model begins all texts with; of an empty one, the
    end token, after which a new document begins. Raises ConfigError for a model without a decoder
    of its own."""
    check_decoder(loaded)
    ids = [*loaded.tokenizer.special_affixes()[0], *loaded.tokenizer.encode(prompt)]
    return ids or [loaded.generation.end_id]


def check_decoder(loaded: LoadedModel) -> None:
    """Raise ConfigError for a model that cannot continue a text."""
    if loaded.config.has_encoder or not loaded.config.has_decoder:
        raise ConfigError(
            f"the {loaded.config.shape} model in {loaded.folder} cannot generate text, which "
            "needs a decoder-only model: an encoder-decoder can `transduce translate`, an encoder "
            "`transduce embed`"
        )


class GenerationTask:
    """How prompts become tasks of a decoder, and their hypotheses texts."""

    def __init__(self, loaded: LoadedModel, options: GenerationOptions) -> None:
        check_decoder(loaded)
        OVERFLOWS.check(options.overflow)
        if options.overflow == "slide" and (options.search == "beam" or options.options.n_best > 1):
            raise ConfigError(
                "--overflow slide goes on with one text; it cannot go with beams or samples"
            )
        self._loaded, self._options = loaded, options
        self._before = loaded.tokenizer.special_affixes()[0]
        self._phrases = [
            phrase_ids(loaded.target_tokenizer, word) for word in options.required_phrases
        ]

    def to_requests(self, lines: Sequence[Line]) -> list[list[Request] | LineError]:
        """See Plan."""
        keep = slice(0, MAX_CHARACTERS)
        if self._options.overflow != "error":
            keep = slice(-MAX_CHARACTERS, None)
        rows = self._loaded.tokenizer.encode_batch([line.text[keep] for line in lines])
        whole = ([*self._before, *ids] for ids in rows)
        return [self._prepare(line, ids) for line, ids in zip(lines, whole, strict=True)]

    def _prepare(self, line: Line, ids: list[int]) -> list[Request] | LineError:
        if not line.text.strip() and not self._options.allow_empty_prompt:
            return []
        try:
            if len(line.text) > MAX_CHARACTERS and self._options.overflow == "error":
                raise PromptError(
                    f"the prompt has {len(line.text):,} characters; {MAX_CHARACTERS:,} are read"
                )
            return [self.request(ids or [self._loaded.generation.end_id], line)]
        except PromptError as error:
            return error

    def request(self, ids: list[int], line: Line) -> Request:
        """What is to be written after some ids. Raises PromptError where there is no room."""
        options, context = self._options, self._loaded.config.max_positions
        ids = OVERFLOWS[options.overflow](ids, len(self._before), context, options.max_tokens)
        limit = min(options.max_tokens, context - len(ids))
        return Request(
            prompt=ids,
            max_new_tokens=limit,
            rng_key=(line.number,),
            min_new_tokens=min(options.min_tokens, options.max_tokens - 1),
            prefix=self._loaded.target_tokenizer.encode(line.prefix) if line.prefix else [],
            phrases=self._phrases,
            constraint=options.constraint,
        )

    def follow_up(self, task: Request, found: Sequence[Hypothesis]) -> Request | None:
        """See Plan. With "slide", the text goes on after the last half of a full context."""
        if self._options.overflow != "slide" or not found or found[0].finish_reason != "length":
            return None
        so_far = self._whole(task, found[0])
        left = self._options.max_tokens - len(so_far.ids)
        if left <= 0:
            return None
        first = task.prompt if task.previous_context is None else task.previous_context.prompt
        context = self._loaded.config.max_positions
        prompt = keep_end([*task.prompt, *found[0].ids], len(self._before), context, context)
        return replace(
            task,
            prompt=prompt,
            max_new_tokens=min(left, context - len(prompt)),
            rng_key=(*task.rng_key[:1], len(so_far.ids)),
            prefix=(),
            previous_context=PreviousContext(first, so_far.ids, so_far.log_probabilities),
        )

    def _whole(self, task: Request, hypothesis: Hypothesis) -> Hypothesis:
        """With what was written before the context was full."""
        if task.previous_context is None:
            return hypothesis
        earlier = Hypothesis(
            task.previous_context.ids, 0.0, task.previous_context.log_probabilities, "end"
        )
        return concatenate([earlier, hypothesis], self._options.options)

    def to_outputs(
        self, line: Line, tasks: Sequence[Request], found: Sequence[Sequence[Hypothesis]]
    ) -> list[Output]:
        """See Plan."""
        del line
        (task,), (hypotheses,) = tasks, found
        if not hypotheses:
            raise LineError(NO_VALID_TOKEN)
        wholes = [self._whole(task, h) for h in hypotheses]
        outputs = [Output(self._text(task, whole), whole, task) for whole in wholes]
        if not self._options.mbr:
            return outputs
        gains = [sum(whole.log_probabilities) for whole in wholes]
        return [outputs[place] for place in rank_by_mbr([output.text for output in outputs], gains)]

    def _text(self, task: Request, whole: Hypothesis) -> str:
        decode = self._loaded.tokenizer.decode
        prompt = task.prompt if task.previous_context is None else task.previous_context.prompt
        text = decode([*prompt, *whole.ids])[len(decode(prompt)) :]
        return truncate_at_stop(text, self._options.stop) if self._options.stop else text


def stream_text(
    loaded: LoadedModel, prompt: str, options: GenerationOptions, *, engine: Engine | None = None
) -> Iterator[str]:
    """Write the continuation of a prompt in pieces. See `stream`."""
    return stream(loaded, encode_prompt(loaded, prompt), options, engine=engine)


@torch.inference_mode()
def stream(
    loaded: LoadedModel,
    ids: list[int],
    options: GenerationOptions,
    *,
    engine: Engine | None = None,
) -> Iterator[str]:
    """Write what follows some ids, in pieces that never end inside a character or a stop string.
    Raises PromptError where there is no room, ConfigError for searches that do not decide token by
    token, LineError where nothing may be written on."""
    if options.search == "beam" or options.options.n_best > 1:
        raise ConfigError("beams and several samples cannot be shown as they are written")
    plan = GenerationTask(loaded, options)
    task: Request | None = plan.request(ids, Line(0, ""))
    assert task is not None
    engine = engine or plain_engine(loaded, options.search, options.options)
    text = loaded.tokenizer.stream(task.prompt)
    hold = StopStringBuffer(options.stop) if options.stop else None
    while task is not None:
        found: list[Hypothesis] = []
        for event in _events(engine, task):
            if isinstance(event, RequestFinished):
                found = event.hypotheses
            elif event.finish_reason != "end":
                piece = text.feed(event.id)
                if shown := hold.feed(piece) if hold else piece:
                    yield shown
        stuck, task = not found, plan.follow_up(task, found)
    rest = text.flush()
    if rest := hold.feed(rest) + hold.flush() if hold else rest:
        yield rest
    if stuck:
        raise LineError(NO_VALID_TOKEN)


def _events(engine: Engine, task: Request) -> Iterator[TokenEvent | RequestFinished]:
    waiting = [[task]]
    for events in run(*engine, lambda _: waiting.pop() if waiting else None):
        yield from events


def generate(
    loaded: LoadedModel,
    source: LineSource,
    options: GenerationOptions,
    *,
    engines: Sequence[Engine] = (),
    counts: Counter[str] | None = None,
) -> Iterator[Answer]:
    """Continue any number of prompts, in order, in bounded memory; any search. `counts`: see
    `answers`."""
    return answer_lines(
        source,
        GenerationTask(loaded, options),
        engines or [plain_engine(loaded, options.search, options.options)],
        budget=options.batch_tokens,
        counts=counts,
    )
