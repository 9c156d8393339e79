"""The kinds of tokenizers that can be trained: their components, and the trainers of them."""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import tokenizers
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers

from .special import BASIC, BYTE_TOKENS, UNKNOWN

# Letters in a row are one word, however many they are. Longer ones are cut, so that time grows
# with the text: for 1 MiB of A, C, G and T, bpe of 8,000 tokens takes 5 s with words of 64, 256 or
# 1,024, and took over 200 s with one word, of which unigram crashed. The longest word of Multi30k
# has 27 letters, and a page of Thai, which is one word here, 3,000.
MAX_WORD = 1024
_UNIGRAM_RUN = 65_536  # of a longer word, which takes 2 s; 1 MiB would take 90 s
MIN_BYTE_FALLBACK = 2000  # entries, of which 256 for bytes are no loss
# Chinese characters as BERT takes them: each is a word. Kana and Hangul are not among them.
_CHINESE = (
    "[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002a6df\U0002a700-\U0002ceaf"
    "\U0002f800-\U0002fa1f]"
)


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """The options of a tokenizer to be trained."""

    kind: str = "bpe"
    vocab_size: int = 8000  # at most, with all special tokens
    normalization: str = "nfc"
    lowercase: bool = False
    min_frequency: int = 2
    byte_fallback: bool | None = None  # unknown characters are spelled in bytes; None: by the size
    special: tuple[str, ...] = field(default=())  # further tokens, recognized in texts
    reserved: tuple[str, ...] = field(default=())  # further ones, which no ordinary text has
    max_bytes: int = 2_000_000_000  # text beyond is not read: pairs are counted in 32 bits

    @property
    def has_bytes(self) -> bool:
        """True if 256 tokens of the vocabulary are bytes, in which unknown text is spelled."""
        if self.byte_fallback is None:
            return TOKENIZERS[self.kind].byte_fallback and self.vocab_size >= MIN_BYTE_FALLBACK
        return self.byte_fallback


def _unchanged(backend: tokenizers.Tokenizer, options: TrainingOptions) -> tokenizers.Tokenizer:
    return backend


@dataclass(frozen=True)
class TokenizerKind:
    """A tokenization algorithm: its components, and the trainer of its vocabulary."""

    model: Callable[[], models.Model]
    trainer: Callable[[TrainingOptions], trainers.Trainer]
    pre_tokenizer: Callable[[], pre_tokenizers.PreTokenizer]
    decoder: Callable[[], decoders.Decoder]
    # that splits around reserved tokens, too: they are read as words; None: the same
    inner_pre_tokenizer: Callable[[], pre_tokenizers.PreTokenizer] | None = None
    joins_spaces: bool = False  # True: the space before a word is part of its token
    min_alphabet: int = 1  # the fewest tokens that its model can have
    byte_fallback: bool = False  # True: it can spell unknown characters in bytes
    max_run: int | None = None  # the characters of a word that are counted; None: all
    finish: Callable[[tokenizers.Tokenizer, TrainingOptions], tokenizers.Tokenizer] = _unchanged


# A word or a run of other characters, with the ▁ (space) before it; a line end; further spaces.
_WORD = r"▁?[\p{L}\p{M}\p{N}]+|▁?[^▁\n\p{L}\p{M}\p{N}]+|\n|▁+"


def _word_splitter(prepend_scheme: str = "always") -> pre_tokenizers.PreTokenizer:
    """Split into words with the space before as ▁; punctuation and line ends are separate.

    A text, and each part of it between added tokens, begins with ▁; by the scheme "first", the text
    alone.
    """
    metaspace = pre_tokenizers.Metaspace(prepend_scheme=prepend_scheme, split=False)
    return pre_tokenizers.Sequence([metaspace, pre_tokenizers.Split(Regex(_WORD), "isolated")])


def _inner_word_splitter() -> pre_tokenizers.PreTokenizer:
    return _word_splitter("first")


def _character_splitter() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")


def _trainer_vocab_size(options: TrainingOptions) -> int:
    """Return the trainer's share of the vocabulary: added tokens and bytes come on top of it."""
    added = len(options.special) + len(options.reserved)
    return options.vocab_size - added - len(BYTE_TOKENS) * options.has_bytes


def _bpe_trainer(options: TrainingOptions) -> trainers.Trainer:
    size = _trainer_vocab_size(options)
    return trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=options.min_frequency,
        special_tokens=list(BASIC),
        limit_alphabet=min(size - len(BASIC), max(1, size // 2)),
    )


def _byte_trainer(options: TrainingOptions) -> trainers.Trainer:
    return trainers.BpeTrainer(
        vocab_size=_trainer_vocab_size(options),
        min_frequency=options.min_frequency,
        special_tokens=list(BASIC),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )


def _character_trainer(options: TrainingOptions) -> trainers.Trainer:
    return trainers.BpeTrainer(
        vocab_size=_trainer_vocab_size(options),
        special_tokens=list(BASIC),
        limit_alphabet=_trainer_vocab_size(options) - len(BASIC),
    )


def _unigram_trainer(options: TrainingOptions) -> trainers.Trainer:
    return trainers.UnigramTrainer(
        vocab_size=_trainer_vocab_size(options), special_tokens=list(BASIC), unk_token=UNKNOWN
    )


def _wordpiece_trainer(options: TrainingOptions) -> trainers.Trainer:
    size = _trainer_vocab_size(options)
    return trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=options.min_frequency,
        special_tokens=list(BASIC),
        limit_alphabet=max(1, (size - len(BASIC)) // 2),  # each comes alone and with ##
    )


def _chinese_splitter() -> pre_tokenizers.PreTokenizer:
    """Split at spaces and punctuation, and into single Chinese characters, as BERT does."""
    return pre_tokenizers.Sequence(
        [pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Split(Regex(_CHINESE), "isolated")]
    )


def _add_bytes(backend: tokenizers.Tokenizer, options: TrainingOptions) -> tokenizers.Tokenizer:
    """Add the tokens of byte fallback: characters that the vocabulary lacks are spelled in them."""
    if not options.has_bytes:
        return backend
    state = json.loads(backend.to_str())
    vocabulary = state["model"]["vocab"]
    vocabulary |= {name: len(vocabulary) + index for index, name in enumerate(BYTE_TOKENS)}
    state["model"]["byte_fallback"] = True
    finished = tokenizers.Tokenizer.from_str(json.dumps(state))
    finished.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    return finished


def _limit_size(backend: tokenizers.Tokenizer, options: TrainingOptions) -> tokenizers.Tokenizer:
    """Drop the least likely tokens beyond the size, letters last: the trainer counts loosely."""
    state = json.loads(backend.to_str())
    entries: list[tuple[str, float]] = state["model"]["vocab"]
    surplus = len(entries) - _trainer_vocab_size(options)
    if surplus <= 0:
        return backend
    ranked = sorted(entries[len(BASIC) :], key=lambda entry: (len(entry[0]) == 1, entry[1]))
    dropped = {text for text, _ in ranked[:surplus]}
    state["model"]["vocab"] = [entry for entry in entries if entry[0] not in dropped]
    return tokenizers.Tokenizer.from_str(json.dumps(state))


def _split_unknown(backend: tokenizers.Tokenizer, options: TrainingOptions) -> tokenizers.Tokenizer:
    backend.pre_tokenizer = split_at_unknown(backend.get_vocab(with_added_tokens=False))
    return backend


def split_at_unknown(vocabulary: Collection[str]) -> pre_tokenizers.PreTokenizer:
    """Return the splitter of words for WordPiece: at characters that the vocabulary lacks.

    Else all of the word would be unknown. So are words split before a character that is known at
    the start of a word only. The longest words are cut too, since the model takes those for
    unknown.
    """
    known = {token for token in vocabulary if len(token) == 1}
    starting = {character for character in known if f"##{character}" not in vocabulary}
    steps = [
        _chinese_splitter(),
        pre_tokenizers.Split(Regex(f"[^{_ranges(known)}]"), "isolated"),
    ]
    if starting:
        steps.append(pre_tokenizers.Split(Regex(f"[{_ranges(starting)}]"), "merged_with_next"))
    steps.append(pre_tokenizers.Split(Regex(rf"[\s\S]{{{MAX_WORD}}}"), "isolated"))
    return pre_tokenizers.Sequence(steps)


def _ranges(characters: set[str]) -> str:
    return "".join(rf"\x{{{ord(character):x}}}" for character in sorted(characters))


TOKENIZERS: dict[str, TokenizerKind] = {
    "bpe": TokenizerKind(  # arXiv 1508.07909
        model=lambda: models.BPE(unk_token=UNKNOWN, fuse_unk=True),
        trainer=_bpe_trainer,
        pre_tokenizer=_word_splitter,
        inner_pre_tokenizer=_inner_word_splitter,
        joins_spaces=True,
        decoder=decoders.Metaspace,
        byte_fallback=True,
        finish=_add_bytes,
    ),
    "byte-bpe": TokenizerKind(  # GPT-2's: no text is unknown, and decoding is exact
        model=models.BPE,
        trainer=_byte_trainer,
        pre_tokenizer=lambda: pre_tokenizers.ByteLevel(add_prefix_space=False),
        decoder=decoders.ByteLevel,
        joins_spaces=True,
        min_alphabet=256,
    ),
    "unigram": TokenizerKind(  # arXiv 1804.10959
        model=models.Unigram,
        trainer=_unigram_trainer,
        pre_tokenizer=_word_splitter,
        inner_pre_tokenizer=_inner_word_splitter,
        joins_spaces=True,
        decoder=decoders.Metaspace,
        max_run=_UNIGRAM_RUN,
        finish=_limit_size,
    ),
    "wordpiece": TokenizerKind(  # BERT's; decoding guesses the spaces from the pieces
        model=lambda: models.WordPiece(unk_token=UNKNOWN, max_input_chars_per_word=MAX_WORD),
        trainer=_wordpiece_trainer,
        pre_tokenizer=_chinese_splitter,
        decoder=decoders.WordPiece,
        finish=_split_unknown,
        min_alphabet=2,  # a character, and the same with ## before it
    ),
    "char": TokenizerKind(
        model=lambda: models.BPE(unk_token=UNKNOWN),
        trainer=_character_trainer,
        pre_tokenizer=_character_splitter,
        decoder=decoders.Fuse,
    ),
}
