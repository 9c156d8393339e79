"""Text in, translation out, line for line."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..config import ConfigError
from ..loading import LoadedModel
from .filtering import answers
from .languages import request
from .lines import MAX_CHARACTERS, Answer, Given, Line, LineError, Output, Source
from .search import SEARCHES
from .stepper import ModelStepper
from .tasks import Hypothesis, SearchOptions, Task


@dataclass(frozen=True, kw_only=True)
class TranslationOptions:
    """How to translate. A translation has at most `max_tokens`, or else as many as the model's
    settings say, or else `ratio` times the source's tokens plus 10."""

    search: str = "beam"
    options: SearchOptions
    batch_tokens: int = 4096  # padded source tokens times beams in one batch
    max_tokens: int | None = None
    ratio: float = 2.0
    min_tokens: int = 0
    min_ratio: float = 0.0  # times the source's tokens
    guard: bool = True  # write texts that run into loops again
    source_language: str | None = None
    target_language: str | None = None


class TranslationPlan:
    """How lines become tasks of an encoder-decoder, and their hypotheses translations."""

    def __init__(self, loaded: LoadedModel, options: TranslationOptions) -> None:
        if not (loaded.config.has_encoder and loaded.config.has_decoder):
            raise ConfigError(
                f"the {loaded.config.shape} model in {loaded.folder} cannot translate, which needs "
                "an encoder-decoder; a decoder can `transduce generate`"
            )
        self._loaded, self._options = loaded, options
        self._asked = request(loaded, options.source_language, options.target_language)

    def prepare(self, lines: Sequence[Line]) -> list[list[Task] | LineError]:
        """See Plan."""
        encode = self._loaded.tokenizer.encode_batch
        rows = encode([line.text[:MAX_CHARACTERS] for line in lines])
        return [self._prepare(line, ids) for line, ids in zip(lines, rows, strict=True)]

    def _prepare(self, line: Line, ids: list[int]) -> list[Task] | LineError:
        if not line.text.strip() or not ids:
            return []
        asked, context = self._asked, self._loaded.config.max_positions
        source = [*asked.before, *ids, *asked.after]
        if len(source) > context or len(line.text) > MAX_CHARACTERS:
            return LineError(
                f"the line has {len(source):,} tokens or more; the model reads {context:,}"
                if len(line.text) > MAX_CHARACTERS
                else f"the line has {len(source):,} tokens; the model reads {context:,}"
            )
        return [self._task(line, source)]

    def _task(self, line: Line, source: list[int]) -> Task:
        first = [] if self._asked.first is None else [self._asked.first]
        begun = self._loaded.writer.encode(line.prefix) if line.prefix else []
        limit = self._limit(source)
        least = max(self._options.min_tokens, int(self._options.min_ratio * len(source)))
        return Task(
            prompt=[self._asked.start],
            source=source,
            limit=limit,
            keys=(line.number,),
            least=min(least, limit - 1),
            prefix=[*first, *begun],
        )

    def _limit(self, source: Sequence[int]) -> int:
        """The most tokens of a source's translation."""
        options, known = self._options, self._loaded.generation.max_length
        usual = known - 1 if known else int(options.ratio * len(source)) + 10
        return max(1, min(self._loaded.config.max_positions, options.max_tokens or usual))

    def outputs(self, line: Line, found: Sequence[Sequence[Hypothesis]]) -> list[Output]:
        """See Plan."""
        del line
        (hypotheses,) = found
        if not hypotheses:
            raise LineError("nothing that may be written meets what is asked of it")
        texts = self._loaded.writer.decode_batch([h.ids for h in hypotheses])
        single = (" ".join(text.split("\n")) for text in texts)
        return [Output(text, h) for text, h in zip(single, hypotheses, strict=True)]


def translate(
    loaded: LoadedModel,
    source: Source,
    options: TranslationOptions,
    *,
    counts: Counter[str] | None = None,
) -> Iterator[Answer]:
    """Translate any number of lines, in order, in bounded memory. `counts`: see `answers`.

    Raises ConfigError for a model without an encoder.
    """
    plan = TranslationPlan(loaded, options)
    return answers(
        source,
        plan,
        stepper=ModelStepper(loaded.model),
        search=SEARCHES[options.search](options.options),
        budget=options.batch_tokens,
        guard=options.guard,
        counts=counts,
    )


def translate_lines(
    loaded: LoadedModel, lines: Iterable[str], options: TranslationOptions
) -> list[str]:
    """The best translation of each of some lines; empty for an empty line or one that fails."""
    found = translate(loaded, Given(lines), options)
    return [answer.outputs[0].text if answer.outputs else "" for answer in found]
