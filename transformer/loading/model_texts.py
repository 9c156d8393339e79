"""The texts of a model: the tokenizers that it reads and writes by, and the tokens around them."""

from dataclasses import dataclass
from pathlib import Path

from tokenizer import SpecialAffixes, Tokenizer

from .generation_config import GenerationConfig


class TextProperties:
    """Properties of a model's texts that follow from its tokenizers and its settings."""

    tokenizer: Tokenizer
    generation: GenerationConfig
    folder: Path  # for messages
    target: Tokenizer | None
    source_affixes: SpecialAffixes | None
    labels: tuple[str, ...]
    token_types: int

    @property
    def target_tokenizer(self) -> Tokenizer:
        """The tokenizer of texts that the model writes."""
        return self.target or self.tokenizer

    @property
    def decoder_start_id(self) -> int | None:
        """The token before the first one that a decoder generates, if the model names one."""
        start = self.generation.decoder_start_token_id
        return self.generation.bos_token_id if start is None else start

    @property
    def special_affixes(self) -> SpecialAffixes:
        """The ids around an encoder's text: `source_affixes`, or else the tokenizer's.

        Where neither has any, it is the end token after the text.
        """
        if self.source_affixes is not None:
            return self.source_affixes
        before, after = self.tokenizer.special_affixes()
        return (before, after) if before or after else ([], [self.generation.end_id])


@dataclass(frozen=True)
class ModelTexts(TextProperties):
    """Tokenizers and settings: all that a model needs beside its network."""

    tokenizer: Tokenizer
    generation: GenerationConfig
    folder: Path
    target: Tokenizer | None = None  # of texts that the model writes, if another
    # Around an encoder's text; None: what the tokenizer adds, or else the end token after it.
    source_affixes: SpecialAffixes | None = None
    labels: tuple[str, ...] = ()  # their names by id, where the network has a head over labels
    token_types: int = 0  # of the network
