"""The text that a tokenizer learns from: its characters, and words that are spelled badly."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from zlib import crc32

import tokenizers

from ..special import BYTE_TOKENS
from ..tokenizer import Tokenizer
from .vocabularies import GrowingVocabulary

MAX_WORDS = 500_000  # different words that are counted
MAX_TOKENS = 1_000_000  # of the words to learn from, the most frequent ones
MAX_PARTS = 64  # tokens of a word, which is cut; text without spaces has words of thousands
_BATCH = 1000  # lines that are tokenized together
# Words of fewer characters a token are learned from. With 8,000 tokens for English and German of
# Multi30k, 17% to 39% of the words of several tokens are such in these languages, 67% to 89% in
# French, 96% to 98% in Czech.
_WELL_SPELLED = 2.5

Lines = Callable[[], Iterable[str]]


class TextToLearn:
    """A text to learn from, in normalized characters, and what its tokenizer makes of it.

    Characters of tokens that are kept `whole` do not count.
    """

    def __init__(
        self, tokenizer: Tokenizer, lines: Lines, max_bytes: int, *, whole: Iterable[str] = ()
    ) -> None:
        self._lines, self._max_bytes = lines, max_bytes
        self.characters: Counter[str] = Counter()
        self.unknown = self.tokens = 0
        normalizer = tokenizer.backend.normalizer
        names = sorted(whole, key=len, reverse=True)
        kept_whole = re.compile("|".join(map(re.escape, names)) or r"(?!)")
        for batch in self.batches():
            rows = tokenizer.encode_batch(batch)
            self.tokens += sum(map(len, rows))
            self.unknown += sum(map(len, tokenizer.unknown_characters(batch, rows)))
            for line in batch:
                text = kept_whole.sub("", line)
                self.characters.update(normalizer.normalize_str(text) if normalizer else text)

    def count_tokens(self, tokenizer: Tokenizer) -> int:
        """Count the tokens of the text by another tokenizer."""
        return sum(len(row) for batch in self.batches() for row in tokenizer.encode_batch(batch))

    def batches(self) -> Iterator[list[str]]:
        """Yield the lines in batches, up to a number of bytes."""
        lines = self._limited()
        while batch := list(islice(lines, _BATCH)):
            yield batch

    def _limited(self) -> Iterator[str]:
        remaining = self._max_bytes
        for line in self._lines():
            remaining -= len(line.encode("utf-8", errors="replace"))
            if remaining < 0:
                return
            yield line


def count_words(
    text: TextToLearn, tokenizer: Tokenizer, vocabulary: GrowingVocabulary
) -> tuple[dict[tuple[int, ...], int], int]:
    """Return the most frequent words that are spelled badly, with their counts, and all tokens.

    Words end where the tokenizer splits, before a space, and at tokens that no further one has a
    part in: special ones, the unknown one, those of bytes.
    """
    special = {*tokenizer.backend.get_added_tokens_decoder(), tokenizer.unknown_id}
    if vocabulary.model.get("byte_fallback"):
        special |= {vocabulary.ids.get(name) for name in BYTE_TOKENS}
    names = vocabulary.names.items()
    first = {token_id for token_id, name in names if vocabulary.begins_word(name)}
    words: Counter[tuple[int, ...]] = Counter()
    tokens = 0
    for batch in text.batches():
        for encoding in tokenizer.backend.encode_batch(batch, add_special_tokens=False):
            tokens += len(encoding.ids)
            for word in _words(encoding, special, first):
                if len(words) < MAX_WORDS or word in words:
                    words[word] += 1
    badly = {word: n for word, n in words.items() if _is_badly_spelled(word, vocabulary)}
    return _most_frequent(badly), tokens


def _most_frequent(words: dict[tuple[int, ...], int]) -> dict[tuple[int, ...], int]:
    """Return as many words as may be learned from; of equally frequent ones, some from all over."""
    if sum(map(len, words)) <= MAX_TOKENS:
        return words
    ranked = sorted(words, key=lambda word: (-words[word], crc32(repr(word).encode())))
    chosen, room = {}, MAX_TOKENS
    for word in ranked:
        room -= len(word)
        if room < 0:
            break
        chosen[word] = words[word]
    return chosen


def _is_badly_spelled(word: tuple[int, ...], vocabulary: GrowingVocabulary) -> bool:
    characters = vocabulary.count_characters(vocabulary.names[token_id] for token_id in word)
    return characters < _WELL_SPELLED * len(word)


def _words(
    encoding: tokenizers.Encoding, special: set[int | None], first: set[int]
) -> Iterator[tuple[int, ...]]:
    """Yield the words of a text of two tokens and more, in parts where they are long."""
    word: list[int] = []
    last = None
    for token_id, number in zip(encoding.ids, encoding.word_ids, strict=True):
        ends = number != last or token_id in first or token_id in special
        if ends or len(word) == MAX_PARTS:
            if len(word) > 1:
                yield tuple(word)
            word = []
        if token_id not in special:
            word.append(token_id)
        last = number
    if len(word) > 1:
        yield tuple(word)
