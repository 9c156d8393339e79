"""The ids of a text that a label head reads, or of two: what stands around and between them."""

from collections.abc import Sequence
from typing import NamedTuple

from ..errors import ConfigError
from ..labels import TokenWindow, token_windows
from ..loading.model_texts import TextProperties

_SHARED = 4  # neighbouring windows share this part of their tokens, a quarter


class FramedText(NamedTuple):
    """The ids of a text, or of the two of a pair, as a model reads them."""

    ids: list[int]
    second: int  # index from which tokens are of the second text's type; the length: none are
    truncated: bool


class TextFraming(NamedTuple):
    """The ids around and between the texts of a model, and the most tokens that it reads."""

    before: list[int]
    between: list[int]
    after: list[int]
    second_type: int  # of the tokens of a second text, 0 or 1: one that the network has
    max_tokens: int

    @classmethod
    def of(cls, texts: TextProperties, max_tokens: int) -> "TextFraming":
        """Return the framing of a model. Raises ConfigError if it leaves no room for a text."""
        before, after = texts.special_affixes
        between, second_type = _special_infix(texts)
        second_type = min(second_type, max(0, texts.token_types - 1))
        if len(before) + max(len(after), len(between)) + 1 > max_tokens:
            raise ConfigError(
                f"{texts.folder} reads {max_tokens} tokens at most, of which the special tokens "
                "around a text leave none"
            )
        return cls(before, between, after, second_type, max_tokens)

    @classmethod
    def lacks_type(cls, texts: TextProperties) -> bool:
        """Return True if a model reads a second text, that is of type 1 elsewhere, as of type 0."""
        return texts.token_types == 1 and _special_infix(texts)[1] == 1

    def frame(self, texts: Sequence[Sequence[int]]) -> FramedText:
        """Return the ids of a text or two as one row; the longer of two is cut first."""
        lengths = self.kept_lengths(texts)
        kept = [list(text[:length]) for text, length in zip(texts, lengths, strict=True)]
        truncated = any(len(a) < len(b) for a, b in zip(kept, texts, strict=True))
        ids = [*self.before, *kept[0]]
        second = 0
        for text in kept[1:]:
            ids += self.between
            second = len(ids)
            ids += text
        ids += self.after
        has_second = len(kept) > 1 and self.second_type == 1
        return FramedText(ids, second if has_second else len(ids), truncated)

    def kept_lengths(self, texts: Sequence[Sequence[int]]) -> list[int]:
        """Return how many tokens of each text are read."""
        around = len(self.before) + len(self.after) + (len(texts) - 1) * len(self.between)
        return cut_longest([len(text) for text in texts], self.max_tokens - around)

    def windows(self, length: int) -> list[TokenWindow]:
        """Return windows over the tokens of a text, each as long as can be framed, or the text."""
        room = self.max_tokens - len(self.before) - len(self.after)
        return token_windows(length, room, room // _SHARED)

    def frame_window(self, ids: Sequence[int], window: TokenWindow) -> list[int]:
        """Return the ids of a window of a text as one row."""
        return [*self.before, *ids[window.start : window.end], *self.after]


def _special_infix(texts: TextProperties) -> tuple[list[int], int]:
    """Return the ids between two texts, and the second one's type by the tokenizer, or BERT's."""
    affixes = texts.special_affixes
    if affixes != texts.tokenizer.special_affixes():  # which do not say them
        return affixes[1], 1
    return texts.tokenizer.special_infix()


def cut_longest(lengths: Sequence[int], room: int) -> list[int]:
    """Return lengths that fit into a room, of which the longest are cut first.

    >>> cut_longest([9, 2], 8), cut_longest([9, 7], 8), cut_longest([1, 2], 8)
    ([6, 2], [4, 4], [1, 2])
    """
    cut = [*lengths]
    while (over := sum(cut) - max(0, room)) > 0:
        first = cut.index(max(cut))
        others = max((n for i, n in enumerate(cut) if i != first), default=0)
        cut[first] -= min(over, max(1, cut[first] - others))
    return cut
