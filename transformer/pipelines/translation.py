"""Text in, translation out, line for line."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from tokenizer.segmentation.sentences import Segment, merge_to_fit, split_sentences

from ..decoding.bounds import check_range
from ..decoding.constraints.stop_strings import truncate_at_stop
from ..decoding.engine import Engine
from ..decoding.request import Constraint, Hypothesis, Request, SearchOptions, concatenate
from ..errors import ConfigError, LineError
from ..loading import LoadedModel
from .alignment import attention_weights, coverage_score
from .engines import plain_engine
from .glossary import Glossary, phrase_ids
from .languages import translation_prompt
from .loop_detection import ends_in_loop
from .mbr import rank_by_mbr
from .records import (
    MAX_CHARACTERS,
    NO_VALID_TOKEN,
    Answer,
    IterableSource,
    Line,
    LineSource,
    Output,
)
from .scheduler import answer_lines

_RATIO = 2.0
_BLOCKED = 3  # n-grams that do not repeat when a loop is written again


@dataclass(frozen=True, kw_only=True)
class TranslationOptions:
    """How to translate. A translation has at most `max_tokens`, or else `ratio` times the source's
    tokens plus 10, or else as many as the model's settings say, or twice the source's plus 10."""

    search: str = "beam"
    options: SearchOptions
    batch_tokens: int = 4096  # padded source tokens times beams in one batch
    max_tokens: int | None = None
    ratio: float | None = None
    min_tokens: int = 0
    min_ratio: float = 0.0  # times the source's tokens
    loop_guard: bool = True  # write texts that run into loops again
    split: bool = False  # sentence by sentence
    prefix: str = ""  # how a translation begins where its line does not say
    stop: Sequence[str] = ()  # what options.stop looks for, which is not shown
    coverage_penalty: float = (
        0.0  # β of the coverage penalty, which ranks what beam search has found
    )
    mbr: bool = False  # the sample that is most like the others
    required_phrases: Sequence[
        str
    ] = ()  # words that every translation has; beam search alone obeys
    glossary: Glossary | None = None
    constraint: Constraint | None = None
    source_language: str | None = None
    target_language: str | None = None

    def __post_init__(self) -> None:
        for name in ("ratio", "min_ratio", "coverage_penalty"):
            check_range(name, getattr(self, name) or 0.0, 0, 1000)


class TranslationTask:
    """How lines become tasks of an encoder-decoder, and their hypotheses translations."""

    def __init__(self, loaded: LoadedModel, options: TranslationOptions) -> None:
        if not (loaded.config.has_encoder and loaded.config.has_decoder):
            raise ConfigError(
                f"the {loaded.config.shape} model in {loaded.folder} cannot translate, which needs "
                "an encoder-decoder; a decoder can `transduce generate`"
            )
        self._loaded, self._options = loaded, options
        self._asked = translation_prompt(loaded, options.source_language, options.target_language)
        targets = options.glossary.targets() if options.glossary else set()
        words = {*targets, *options.required_phrases}
        self._phrases = {word: phrase_ids(loaded.target_tokenizer, word) for word in words}

    def to_requests(self, lines: Sequence[Line]) -> list[list[Request] | LineError]:
        """See Plan."""
        texts = [self._pieces(line.text) for line in lines]
        encode = self._loaded.tokenizer.encode_batch
        rows = iter(encode([piece.text for pieces in texts for piece in pieces]))
        found: list[list[Request] | LineError] = []
        for line, pieces in zip(lines, texts, strict=True):
            ids = [next(rows) for _ in pieces]
            found.append(self._tasks(line, pieces, ids))
        return found

    def _pieces(self, text: str) -> list[Segment]:
        """What is translated by itself: the line, or its sentences."""
        if not self._options.split:
            return [Segment(text[: MAX_CHARACTERS + 1], "")] if text.strip() else []
        size = self._loaded.tokenizer
        return merge_to_fit(
            split_sentences(text[:MAX_CHARACTERS]), lambda t: len(size.encode(t)), self._room()
        )

    def _room(self) -> int:
        """Tokens of a source, without what stands around them."""
        around = len(self._asked.before) + len(self._asked.after)
        return max(1, self._loaded.config.max_positions - around)

    def _tasks(
        self, line: Line, pieces: Sequence[Segment], rows: Sequence[list[int]]
    ) -> list[Request] | LineError:
        if len(line.text) > MAX_CHARACTERS:
            return LineError(
                f"the line has {len(line.text):,} characters; {MAX_CHARACTERS:,} are read"
            )
        longest = max(map(len, rows), default=0)
        if longest > self._room():
            return LineError(
                f"the line has {longest:,} tokens; the model reads {self._room():,}: shorten it, "
                "or translate its sentences one by one (--split)"
            )
        several = len(pieces) > 1
        return [
            self._task(line, piece.text, ids, place=n, keys=(line.number, n)[: 1 + several])
            for n, (piece, ids) in enumerate(zip(pieces, rows, strict=True))
            if ids and piece.text.strip()
        ]

    def _task(
        self, line: Line, text: str, ids: list[int], *, place: int, keys: tuple[int, ...]
    ) -> Request:
        asked, options = self._asked, self._options
        source = [*asked.before, *ids, *asked.after]
        prefix = (line.prefix or options.prefix) if place == 0 else ""
        begun = self._loaded.target_tokenizer.encode(prefix) if prefix else []
        limit = self._limit(source)
        least = max(options.min_tokens, int(options.min_ratio * len(source)))
        phrases = options.glossary.phrases_for(text) if options.glossary else []
        return Request(
            prompt=[asked.start],
            source=source,
            max_new_tokens=limit,
            rng_key=keys,
            min_new_tokens=min(least, limit - 1),
            forced_first=asked.first,
            prefix=begun,
            phrases=[
                self._phrases[phrase]
                for phrase in dict.fromkeys([*options.required_phrases, *phrases])
            ],
            constraint=options.constraint,
        )

    def _limit(self, source: Sequence[int]) -> int:
        """The most tokens of a source's translation."""
        options, known = self._options, self._loaded.generation.max_length
        if options.ratio is None and known:
            usual = known - 1
        else:
            usual = int((options.ratio or _RATIO) * len(source)) + 10
        return max(1, min(self._loaded.config.max_positions, options.max_tokens or usual))

    def follow_up(self, task: Request, found: Sequence[Hypothesis]) -> Request | None:
        """See Plan. A text that ran into a loop is written without repeated n-grams, unless more is
        asked of it, which repeated n-grams may be part of."""
        bound = task.no_repeat_ngram_size or task.constraint or task.phrases or task.prefix
        looping = self._options.loop_guard and not bound and found and ends_in_loop(found[0].ids)
        return replace(task, no_repeat_ngram_size=_BLOCKED) if looping else None

    def to_outputs(
        self, line: Line, tasks: Sequence[Request], found: Sequence[Sequence[Hypothesis]]
    ) -> list[Output]:
        """See Plan. The n-th answer to a line of several sentences is made of their n-th ones."""
        parts = [self._ranked(task, some) for task, some in zip(tasks, found, strict=True)]
        if not all(parts):
            raise LineError(NO_VALID_TOKEN)
        if not self._options.split:
            return parts[0]
        pieces = self._pieces(line.text)
        count = min(map(len, parts))
        return [self._joined(pieces, [part[n] for part in parts]) for n in range(count)]

    def _ranked(self, task: Request, found: Sequence[Hypothesis]) -> list[Output]:
        """One task's answers, best first."""
        stop = self._options.stop
        texts = self._loaded.target_tokenizer.decode_batch([h.ids for h in found])
        texts = [truncate_at_stop(text, stop) for text in texts] if stop else texts
        outputs = [Output(text, h, task) for text, h in zip(texts, found, strict=True)]
        if self._options.mbr and found:
            gains = [sum(h.log_probabilities) for h in found]
            outputs = [outputs[place] for place in rank_by_mbr(texts, gains)]
        if self._options.coverage_penalty and found:
            weights = attention_weights(self._loaded, task, found)
            outputs = [
                output.with_score(
                    output.hypothesis.score + self._options.coverage_penalty * coverage_score(w)
                )
                for output, w in zip(outputs, weights, strict=True)
            ]
            outputs.sort(key=lambda output: -output.hypothesis.score)
        return outputs

    def _joined(self, pieces: Sequence[Segment], parts: Sequence[Output]) -> Output:
        """The translations of a line's sentences, between which stands what stood there."""
        texts = {part.request.rng_key[1:]: part.text for part in parts if part.request is not None}
        text = ""
        for place, piece in enumerate(pieces):
            key = (place,) if len(pieces) > 1 else ()
            before = piece.text[: len(piece.text) - len(piece.text.lstrip())]
            text += before + texts.get(key, "") + piece.after
        return Output(text, concatenate([part.hypothesis for part in parts], self._options.options))


def translate(
    loaded: LoadedModel,
    source: LineSource,
    options: TranslationOptions,
    *,
    engines: Sequence[Engine] = (),
    counts: Counter[str] | None = None,
) -> Iterator[Answer]:
    """Translate any number of lines, in order, in bounded memory, by the model's own stepper and
    `options.search` unless other engines are given. `counts`: see `answers`.

    Raises ConfigError for a model without an encoder.
    """
    return answer_lines(
        source,
        TranslationTask(loaded, options),
        engines or [plain_engine(loaded, options.search, options.options)],
        budget=options.batch_tokens,
        counts=counts,
    )


def translate_lines(
    loaded: LoadedModel, lines: Iterable[str], options: TranslationOptions
) -> list[str]:
    """The best translation of each of some lines; empty for an empty line or one that fails."""
    found = translate(loaded, IterableSource(lines), options)
    texts = (answer.outputs[0].text if answer.outputs else "" for answer in found)
    return [" ".join(text.split("\n")) for text in texts]
