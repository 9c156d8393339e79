"""Reports on prepared text: how much there is, what was left out, what looks wrong."""

from array import array
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from tokenizer import Tokenizer

BLANK = "blank"  # nothing to see on a side
TOO_LONG = "too long"  # for data.max_tokens
TARGET_TOO_LONG = "target too long"  # for data.max_target_tokens, where that is another number
UNKNOWN = "unknown"  # a text of which the tokenizer knows nothing
UNREADABLE = "unreadable"  # nothing that the tokenizer knows on a side

UNLABELLED = "unlabelled"  # a text with an empty list of labels, where it needs one
UNANSWERED = "unanswered"  # a conversation without an answer
REFUSED = "refused"  # by the chat template
UNFRAMED = "unframed"  # messages, for a model without a chat template

MAX_HASHES = 20_000_000  # 160 MB; what comes after is not compared
_NAMED_CHARACTERS = 8  # unknown ones shown


class UnknownText(msgspec.Struct, frozen=True):
    """The characters of one side of the text, and those that the tokenizer does not know."""

    characters: int
    unknown: int
    most_frequent: list[str]
    num_bytes: int | None = None  # as UTF-8; earlier versions counted none

    @property
    def share(self) -> float:
        """The share of unknown characters, 0 to 1."""
        return self.unknown / max(1, self.characters)


class FileReport(msgspec.Struct, frozen=True):
    """A file, or files that are read in parallel, and the number of pairs or documents in it."""

    name: str
    examples: int
    end: int = 0  # ids of text, or kept pairs, up to its own last; not of conversations


class PartReport(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of the training or the validation text; examples are pairs or documents."""

    unit: ClassVar[str]  # of examples
    compared: ClassVar[str]  # with one another and with training, in the plural

    files: list[FileReport]
    left_out: dict[str, int]  # examples, by reason
    kept: int  # examples
    tokens: int  # of the examples kept
    longest: int  # tokens on a side, of all examples
    repeats: int  # of what is compared: equal to an earlier one
    in_training: int = 0  # validation: of what is compared, in training too
    not_compared: int = 0  # pairs, or longer lines, after as many as are compared
    unknown: dict[str, UnknownText] = {}  # by side
    shares: list[float] = []  # of the batches, of each file; []: files are not mixed

    @property
    def examples(self) -> int:
        """The number of pairs or documents, those left out included."""
        return self.kept + sum(self.left_out.values())


class PairReport(PartReport, frozen=True, kw_only=True, tag_field="unit", tag="pairs"):
    """Counts of pairs."""

    unit = "pairs"
    compared = "pairs"

    limit: int  # tokens from which sources are too long, and targets without a limit of their own
    target_limit: int | None = None
    sources_in_training: int = 0  # validation: kept pairs whose source training has too
    headers: list[str] = []  # files whose first rows look like the names of columns


class TextReport(PartReport, frozen=True, kw_only=True, tag_field="unit", tag="documents"):
    """Counts of running text."""

    unit = "documents"
    compared = "longer lines"

    end_marks: dict[str, int] = {}  # what looks like the end of a document


class ConversationReport(
    PartReport, frozen=True, kw_only=True, tag_field="unit", tag="conversations"
):
    """Counts of conversations."""

    unit = "conversations"
    compared = "conversations"

    limit: int  # tokens from which conversations are too long
    targets: int  # tokens that are predicted
    unread: int = 0  # messages after a conversation's last answer


class LabelledReport(PartReport, frozen=True, kw_only=True, tag_field="unit", tag="texts"):
    """Counts of texts with labels."""

    unit = "texts"
    compared = "texts"

    limit: int  # tokens at which texts are cut, those around them included
    shortened: int  # texts that were cut
    kind: str  # of the labels, see LabelInventory
    labels: dict[str, int]  # texts of each, in the order of their ids; {}: numbers


class TaggedReport(PartReport, frozen=True, kw_only=True, tag_field="unit", tag="tagged texts"):
    """Counts of texts whose words have tags."""

    unit = "tagged texts"
    compared = "tagged texts"

    limit: int  # tokens of a window, those around it included
    windowed: int  # texts that are longer, and read in several windows
    words: int
    unknown_words: int  # of which the tokenizer knows nothing
    tags: dict[str, int]  # spans of each label, or words of each tag, in the order of their ids
    are_spans: bool
    hidden: int  # spans that begin or end inside a token


ExamplesReport = PairReport | TextReport | ConversationReport | LabelledReport | TaggedReport


class DataReport(msgspec.Struct, frozen=True):
    """The reports on both parts of a run's text; validation is None where there is none."""

    training: ExamplesReport
    validation: ExamplesReport | None = None


class Fingerprints:
    """Hashes of examples, to count repeats: 8 bytes each, of this process only.

    The first MAX_HASHES are compared, and `not_compared` is the number of the others.
    """

    def __init__(self) -> None:
        self._hashes = array("q")
        self.not_compared = 0

    def add(self, example: Hashable) -> None:
        """Remember an example."""
        if len(self._hashes) < MAX_HASHES:
            self._hashes.append(hash(example))
        else:
            self.not_compared += 1

    def repeats(self) -> int:
        """Count the examples that are equal to an earlier one."""
        ordered = np.sort(self._array())
        return int((ordered[1:] == ordered[:-1]).sum())

    def count_in(self, other: "Fingerprints") -> int:
        """Count the examples that another set has too."""
        return int(np.isin(self._array(), other._array()).sum())

    def _array(self) -> NDArray[np.int64]:
        return np.frombuffer(self._hashes, dtype=np.int64)


class UnknownCounter:
    """A count of the characters that a tokenizer does not know."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._characters = self._bytes = 0
        self._unknown: Counter[str] = Counter()

    def add(self, texts: Sequence[str], rows: Sequence[Sequence[int]]) -> None:
        """Count the characters of texts, whose ids are `rows`."""
        self._characters += sum(map(len, texts))
        self._bytes += sum(len(text.encode("utf-8", errors="replace")) for text in texts)
        for unknown in self._tokenizer.unknown_characters(texts, rows):
            if unknown:
                self._unknown.update(unknown)

    def report(self) -> UnknownText:
        """Return the counts."""
        frequent = [character for character, _ in self._unknown.most_common(_NAMED_CHARACTERS)]
        return UnknownText(self._characters, self._unknown.total(), frequent, self._bytes)
