"""Rules of each objective from a text's size to a recipe, as data and pure functions."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tokenizer.quantities import format_count, format_large

_PADDED = 1.15  # times the tokens of pairs: with the padding of their batches
_UNEVEN = 0.5  # batches: of few, each has pairs of more different lengths
_LAST = 0.5  # batches: the last one is not full


class TextSize(Protocol):
    """The size of a text, which rules rest on."""

    @property
    def lines(self) -> int:
        """Lines, or chunks of running text; a pair is two."""
        ...

    @property
    def characters(self) -> int:
        """All characters."""
        ...


@dataclass(frozen=True, kw_only=True)
class ObjectiveRules(ABC):
    """Rules of one objective; the numbers are measured on two cores unless said otherwise."""

    presets: tuple[str, ...]  # from the smallest to the largest
    learning_rates: tuple[float, ...]  # of each
    # of parts of a new model, by their names: factors of its rate
    factors: Mapping[str, float] = field(default_factory=dict)
    dropout: float | None = None  # of a new model; None: by its text
    further: float = 0.25  # of such a rate, for a model that was trained before
    vocabulary: float  # tokens for the square root of a text's characters
    min_vocabulary: int
    max_vocabulary: int = 16_000
    reading: float  # tokens to be read in all, for each weight of a layer
    weights: float = 20.0  # of layers, for each token of the text, at most
    epochs: float  # at most
    length: str  # the key of the longest text
    target_length: str | None = None  # that of the longest target, if it has one of its own
    sides: int  # texts of an example, each of which has a batch's tokens
    predicted: float = 1.0  # share of the tokens of a row that are
    batches: int = 20  # of an epoch, at least: little text is cut into smaller ones
    training: Mapping[str, Any] = field(default_factory=dict)  # further settings

    @abstractmethod
    def validation_share(self, text: TextSize) -> float:
        """Return the share of a text to validate on."""

    @abstractmethod
    def batches_per_epoch(self, text: TextSize, tokens: float, batch_tokens: int) -> float:
        """Estimate the batches of an epoch of a text that has so many tokens."""

    @abstractmethod
    def row_length(self, text: TextSize, tokens: float, context: int) -> int:
        """Estimate the tokens of a row of a batch."""

    @abstractmethod
    def format_text(self, text: TextSize) -> str:
        """Return the size of a text in words."""

    @abstractmethod
    def format_validation(self, share: float) -> str:
        """Return the part of a text that is held out, in words."""


@dataclass(frozen=True, kw_only=True)
class PairRules(ObjectiveRules):
    """Rules of an objective that trains on pairs."""

    sides: int = 2

    def validation_share(self, text: TextSize) -> float:
        """Return that of about 1,000 pairs; of few, a twentieth or a tenth."""
        pairs = text.lines // 2
        return 0.1 if pairs < 1000 else float(f"{min(0.05, 1000 / pairs):.2g}")

    def batches_per_epoch(self, text: TextSize, tokens: float, batch_tokens: int) -> float:
        """Implement ObjectiveRules.batches_per_epoch: end tokens and padding count."""
        full = (tokens + text.lines) / self.sides / batch_tokens
        return (_PADDED + _UNEVEN / max(1.0, full)) * full + _LAST

    def row_length(self, text: TextSize, tokens: float, context: int) -> int:
        """Implement ObjectiveRules.row_length."""
        del context
        return round(tokens / max(1, text.lines)) + 2

    def format_text(self, text: TextSize) -> str:
        """Implement ObjectiveRules.format_text."""
        pairs = format_count(format_large(text.lines // 2), "pair")
        return f"{pairs}, {format_count(format_large(text.characters), 'character')}"

    def format_validation(self, share: float) -> str:
        """Implement ObjectiveRules.format_validation."""
        return f"on about {100 * share:.2g}% of pairs (equal sources together)"


@dataclass(frozen=True, kw_only=True)
class ConversationRules(PairRules):
    """Rules of an objective that trains on conversations; most have two messages."""

    sides: int = 1

    def row_length(self, text: TextSize, tokens: float, context: int) -> int:
        """Implement ObjectiveRules.row_length."""
        del context
        return round(2 * tokens / max(1, text.lines)) + 2

    def format_text(self, text: TextSize) -> str:
        """Implement ObjectiveRules.format_text."""
        messages = format_count(format_large(text.lines), "message")
        return f"{messages}, {format_count(format_large(text.characters), 'character')}"

    def format_validation(self, share: float) -> str:
        """Implement ObjectiveRules.format_validation."""
        return f"on about {100 * share:.2g}% of conversations (equal beginnings together)"


@dataclass(frozen=True, kw_only=True)
class LabelledRules(ConversationRules):
    """Rules of an objective that trains on texts with labels."""

    batches: int = 100

    def validation_share(self, text: TextSize) -> float:
        """Return that of about 1,000 texts; of few, a twentieth or a tenth."""
        return 0.1 if text.lines < 1000 else float(f"{min(0.1, 1000 / text.lines):.2g}")

    def row_length(self, text: TextSize, tokens: float, context: int) -> int:
        """Implement ObjectiveRules.row_length."""
        del context
        return round(tokens / max(1, text.lines)) + 2

    def format_text(self, text: TextSize) -> str:
        """Implement ObjectiveRules.format_text."""
        texts = format_count(format_large(text.lines), "text")
        return f"{texts}, {format_count(format_large(text.characters), 'character')}"

    def format_validation(self, share: float) -> str:
        """Implement ObjectiveRules.format_validation."""
        return f"on about {100 * share:.2g}% of texts (equal ones together)"


@dataclass(frozen=True, kw_only=True)
class RunningTextRules(ObjectiveRules):
    """Rules of an objective that trains on running text."""

    sides: int = 1

    def validation_share(self, text: TextSize) -> float:
        """Return a twentieth."""
        del text
        return 0.05

    def batches_per_epoch(self, text: TextSize, tokens: float, batch_tokens: int) -> float:
        """Implement ObjectiveRules.batches_per_epoch."""
        del text
        return tokens / batch_tokens

    def row_length(self, text: TextSize, tokens: float, context: int) -> int:
        """Implement ObjectiveRules.row_length: windows are full."""
        del text, tokens
        return context

    def format_text(self, text: TextSize) -> str:
        """Implement ObjectiveRules.format_text."""
        return format_count(format_large(text.characters), "character")

    def format_validation(self, share: float) -> str:
        """Implement ObjectiveRules.format_validation."""
        return f"on the last {100 * share:.2g}% of the text"


# T5 begins with large embeddings (a standard deviation of 1), which Adafactor moves by their size.
# Span corruption of 1.1 MB of Shakespeare, t5-tiny, 240 steps at 2e-3: loss 4.91 with this factor,
# 5.03 without. Without dropout, as T5 v1.1 is pre-trained, it learns sooner: on numbers in words,
# loss 1.23 after 300 steps, where 0.3 (by the text) had 1.31 at best, after 475.
T5_RULES = RunningTextRules(
    presets=("t5-tiny", "t5-base"),
    learning_rates=(2e-3, 1e-4),
    factors={"embedding": 5.0},
    dropout=0.0,
    vocabulary=1.5,
    min_vocabulary=400,
    reading=5.0,
    epochs=100.0,
    length="training.context",
)
