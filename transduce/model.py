"""A model in Python, whose methods are the commands of the same names."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Self, Unpack, overload

import numpy as np
import numpy.typing as npt

from tokenizer.quantities import format_count
from transformer.parameters import count_parameters
from transformer.pipelines.arguments import (
    ClassifyArguments,
    EmbedArguments,
    FillArguments,
    GenerateArguments,
    ScoreArguments,
    TagArguments,
    TranslateArguments,
)
from transformer.pipelines.classification import SECOND, TextLabels, text_labels
from transformer.pipelines.filling import TextFills, text_fills
from transformer.pipelines.records import Answer, Line, Output
from transformer.pipelines.scoring import TextScore, text_score
from transformer.pipelines.session import Session
from transformer.pipelines.tagging import TextSpans, text_spans

from .keywords import (
    ClassifyKeywords,
    EmbedKeywords,
    FillKeywords,
    GenerateKeywords,
    ScoreKeywords,
    TagKeywords,
    TranslateKeywords,
)
from .results import Text, answer, checked_arguments, logged, to_text, warn

Pair = tuple[str, str]


class Model:
    """A loaded model, or several that decode together.

    Methods take one text, or any iterable of texts, for which they return an iterator (`embed` a
    matrix): results come in order and as soon as they are known, in bounded memory. An iterable
    that is no sequence is read ahead in a thread of its own; of a database cursor that must not be
    used in another one, give a list. A random sample depends on `seed` and on the text's number.
    What is altered, cut or cannot be answered is logged after the last text, under the name
    "transduce"; a single text that cannot be answered raises LineError. Keyword arguments are the
    command line's options with underscores (`--from` and `--to` are `source_language` and
    `target_language`); wrong ones raise ConfigError or TypeError. Methods may be called from
    several threads at once.

    >>> with transduce.load("runs/en-de") as translator:  # doctest: +SKIP
    ...     text = translator.translate("A dog runs.")
    >>> text.finish_reason  # doctest: +SKIP
    'end'
    """

    def __init__(self, session: Session) -> None:
        self._session: Session | None = session

    def __repr__(self) -> str:
        if self._session is None:
            return "<transduce.Model, closed>"
        lead = self._session.lead
        size = count_parameters(lead.config)
        return (
            f"<transduce.Model {lead.folder}: {lead.config.shape}, "
            f"{format_count(size, 'parameter')}>"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the weights; the model cannot be used any more."""
        self._session = None

    @property
    def session(self) -> Session:
        """The session that does the work. Raises ValueError once the model is closed."""
        if self._session is None:
            raise ValueError("the model is closed")
        return self._session

    @overload
    def translate(  # type: ignore[overload-overlap]
        self, text: str, **arguments: Unpack[TranslateKeywords]
    ) -> Text: ...
    @overload
    def translate(
        self, text: Iterable[str], **arguments: Unpack[TranslateKeywords]
    ) -> Iterator[Text]: ...
    def translate(
        self, text: str | Iterable[str], **arguments: Unpack[TranslateKeywords]
    ) -> Text | Iterator[Text]:
        """Translate a text, or each of an iterable.

        >>> model.translate("A dog runs.", beam=8)  # doctest: +SKIP
        'Ein Hund läuft.'
        >>> for text in model.translate(["A dog runs.", "A cat sleeps."]):  # doctest: +SKIP
        ...     print(text, text.score)
        """
        session, checked = self.session, checked_arguments(TranslateArguments, arguments)
        warn(session.warnings(checked))
        result: Text | Iterator[Text] = answer(
            text,
            lambda source, counts: session.translate(source, checked, counts),
            lambda found: to_text(session, found),
        )
        return result

    @overload
    def generate(  # type: ignore[overload-overlap]
        self, text: str, **arguments: Unpack[GenerateKeywords]
    ) -> Text: ...
    @overload
    def generate(
        self, text: Iterable[str], **arguments: Unpack[GenerateKeywords]
    ) -> Iterator[Text]: ...
    def generate(
        self, text: str | Iterable[str], **arguments: Unpack[GenerateKeywords]
    ) -> Text | Iterator[Text]:
        """Continue a prompt, or each of an iterable; the result is the continuation alone.

        >>> writer = transduce.load("runs/prose")  # doctest: +SKIP
        >>> writer.generate("Once upon a time", temperature=0.7, seed=3)  # doctest: +SKIP
        ' there was a king who had three daughters.'
        """
        session, checked = self.session, checked_arguments(GenerateArguments, arguments)
        warn(session.warnings(checked))
        result: Text | Iterator[Text] = answer(
            text,
            lambda source, counts: session.generate(source, checked, counts, allow_empty=True),
            lambda found: to_text(session, found, seed=checked.drawn_seed),
        )
        return result

    def stream(self, prompt: str, **arguments: Unpack[GenerateKeywords]) -> Iterator[str]:
        """Continue a prompt in pieces, as they are decided; closing the iterator ends it.

        >>> for piece in writer.stream("Once upon a time"):  # doctest: +SKIP
        ...     print(piece, end="", flush=True)
        """
        if not isinstance(prompt, str):
            raise TypeError(f"the prompt is {type(prompt).__name__}, not str")
        session, checked = self.session, checked_arguments(GenerateArguments, arguments)
        warn(session.warnings(checked))
        counts = Counter[str]()
        pieces = session.stream(prompt, checked, counts)
        return logged(pieces, counts)

    @overload
    def score(  # type: ignore[overload-overlap]
        self, text: str | Pair, **arguments: Unpack[ScoreKeywords]
    ) -> TextScore | None: ...
    @overload
    def score(
        self, text: Iterable[str | Pair], **arguments: Unpack[ScoreKeywords]
    ) -> Iterator[TextScore | None]: ...
    def score(
        self, text: str | Pair | Iterable[str | Pair], **arguments: Unpack[ScoreKeywords]
    ) -> TextScore | Iterator[TextScore | None] | None:
        """Score a text by its likelihood, or each of an iterable; None for an empty text.

        A pair is a source and its translation, or a prompt and its continuation.

        >>> model.score(("A dog runs.", "Ein Hund läuft.")).perplexity  # doctest: +SKIP
        1.62
        """
        session, checked = self.session, checked_arguments(ScoreArguments, arguments)
        context = "source" if session.lead.config.has_encoder else "prompt"

        def to_line(number: int, item: str | Pair) -> Line:
            if isinstance(item, str):
                return Line(number, item)
            return Line(number, item[1], fields={context: item[0]})

        def to_likelihood(found: Answer[Output]) -> TextScore | None:
            return text_score(session.lead, found) if found.outputs else None

        result: TextScore | Iterator[TextScore | None] | None = answer(
            text,
            lambda source, counts: session.score(source, checked, counts),
            to_likelihood,
            to_line=to_line,
            pairs=True,
        )
        return result

    def embed(
        self, text: str | Iterable[str], **arguments: Unpack[EmbedKeywords]
    ) -> npt.NDArray[np.float32]:
        """Embed a text as a vector (D), or an iterable of texts as a matrix (N, D).

        >>> encoder = transduce.load("sentence-transformers/all-MiniLM-L6-v2")  # doctest: +SKIP
        >>> encoder.embed(["A dog runs.", "A cat sleeps."]).shape  # doctest: +SKIP
        (2, 384)
        """
        session, checked = self.session, checked_arguments(EmbedArguments, arguments)
        vectors = answer(
            [text] if isinstance(text, str) else text,
            lambda source, counts: session.embed(source, checked, counts),
            lambda found: found.outputs[0].vector.numpy(),
        )
        width = session.vector_size(checked)
        matrix = np.stack([np.zeros(width, np.float32), *vectors])[1:]  # none is a matrix too
        return matrix[0] if isinstance(text, str) else matrix

    @overload
    def classify(  # type: ignore[overload-overlap]
        self, text: str | Pair, **arguments: Unpack[ClassifyKeywords]
    ) -> TextLabels | None: ...
    @overload
    def classify(
        self, text: Iterable[str | Pair], **arguments: Unpack[ClassifyKeywords]
    ) -> Iterator[TextLabels | None]: ...
    def classify(
        self, text: str | Pair | Iterable[str | Pair], **arguments: Unpack[ClassifyKeywords]
    ) -> TextLabels | Iterator[TextLabels | None] | None:
        """Classify a text or a pair of texts, or each of an iterable; None for an empty text.

        >>> topics = transduce.load("runs/topics")  # doctest: +SKIP
        >>> topics.classify("What is the tallest mountain?").label  # doctest: +SKIP
        'LOC'
        """
        session, checked = self.session, checked_arguments(ClassifyArguments, arguments)

        def to_line(number: int, item: str | Pair) -> Line:
            if isinstance(item, str):
                return Line(number, item)
            return Line(number, item[0], fields={SECOND: item[1]})

        result: TextLabels | Iterator[TextLabels | None] | None = answer(
            text,
            lambda source, counts: session.classify(source, checked, counts),
            lambda found: text_labels(found) if found.outputs else None,
            to_line=to_line,
            pairs=True,
        )
        return result

    @overload
    def tag(  # type: ignore[overload-overlap]
        self, text: str, **arguments: Unpack[TagKeywords]
    ) -> TextSpans | None: ...
    @overload
    def tag(
        self, text: Iterable[str], **arguments: Unpack[TagKeywords]
    ) -> Iterator[TextSpans | None]: ...
    def tag(
        self, text: str | Iterable[str], **arguments: Unpack[TagKeywords]
    ) -> TextSpans | Iterator[TextSpans | None] | None:
        """Find the spans of a text, or of each of an iterable; None for an empty text.

        >>> names = transduce.load("runs/names")  # doctest: +SKIP
        >>> names.tag("Ada Lovelace was born in London.").spans[1]  # doctest: +SKIP
        TaggedSpan(label='location', text='London', start=25, end=31, score=0.9812)
        """
        session, checked = self.session, checked_arguments(TagArguments, arguments)
        result: TextSpans | Iterator[TextSpans | None] | None = answer(
            text,
            lambda source, counts: session.tag(source, checked, counts),
            lambda found: text_spans(found) if found.outputs else None,
        )
        return result

    @overload
    def fill(  # type: ignore[overload-overlap]
        self, text: str, **arguments: Unpack[FillKeywords]
    ) -> TextFills | None: ...
    @overload
    def fill(
        self, text: Iterable[str], **arguments: Unpack[FillKeywords]
    ) -> Iterator[TextFills | None]: ...
    def fill(
        self, text: str | Iterable[str], **arguments: Unpack[FillKeywords]
    ) -> TextFills | Iterator[TextFills | None] | None:
        """Fill in the masks of a text, or of each of an iterable; None for an empty text.

        A mask is the name of the model's mask token, as [MASK] or <mask>.

        >>> masked = transduce.load("runs/masked")  # doctest: +SKIP
        >>> masked.fill("A <mask> runs.").fills[0][0]  # doctest: +SKIP
        Fill(token='Ġdog', text=' dog', probability=0.8127)
        """
        session, checked = self.session, checked_arguments(FillArguments, arguments)
        result: TextFills | Iterator[TextFills | None] | None = answer(
            text,
            lambda source, counts: session.fill(source, checked, counts),
            lambda found: text_fills(found) if found.outputs else None,
        )
        return result
