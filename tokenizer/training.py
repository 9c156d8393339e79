"""Training tokenizers, through the `tokenizers` library: a table of kinds."""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers

from .errors import CorpusError, TokenizerOptionError
from .special import BASIC, UNKNOWN
from .tokenizer import Tokenizer

Entry = TypeVar("Entry")


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """What a tokenizer is to be like."""

    kind: str = "bpe"
    vocab_size: int = 8000  # at most; all special tokens included
    normalization: str = "nfc"
    lowercase: bool = False
    min_frequency: int = 2
    special: tuple[str, ...] = field(default=())  # further tokens, recognised in text
    max_bytes: int = 2_000_000_000  # text beyond is left unread: pairs are counted in 32 bits


@dataclass(frozen=True)
class TokenizerKind:
    """A tokenization algorithm: its parts, and the trainer of its vocabulary."""

    model: Callable[[], models.Model]
    trainer: Callable[[TrainingOptions], trainers.Trainer]
    split: Callable[[], pre_tokenizers.PreTokenizer]
    decoder: Callable[[], decoders.Decoder]
    alphabet: int = 1  # the fewest tokens of its own that it can have


# A word, or a run of other signs, each with the ▁ (space) before it; line ends and further spaces.
_WORD = r"▁?[\p{L}\p{M}\p{N}]+|▁?[^▁\n\p{L}\p{M}\p{N}]+|\n|▁+"


def _words() -> pre_tokenizers.PreTokenizer:
    """Words with the space before them as ▁; runs of punctuation and line ends stand alone."""
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(split=False), pre_tokenizers.Split(Regex(_WORD), "isolated")]
    )


def _characters() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")


def _room(options: TrainingOptions) -> int:
    """What is left of the vocabulary for the trainer: added tokens come on top of its own."""
    return options.vocab_size - len(options.special)


def _bpe_trainer(options: TrainingOptions) -> trainers.Trainer:
    return trainers.BpeTrainer(
        vocab_size=_room(options),
        min_frequency=options.min_frequency,
        special_tokens=list(BASIC),
        limit_alphabet=min(_room(options) - len(BASIC), max(1, _room(options) // 2)),
    )


def _byte_trainer(options: TrainingOptions) -> trainers.Trainer:
    return trainers.BpeTrainer(
        vocab_size=_room(options),
        min_frequency=options.min_frequency,
        special_tokens=list(BASIC),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )


def _character_trainer(options: TrainingOptions) -> trainers.Trainer:
    return trainers.BpeTrainer(
        vocab_size=_room(options),
        special_tokens=list(BASIC),
        limit_alphabet=_room(options) - len(BASIC),
    )


def _unigram_trainer(options: TrainingOptions) -> trainers.Trainer:
    return trainers.UnigramTrainer(
        vocab_size=_room(options), special_tokens=list(BASIC), unk_token=UNKNOWN
    )


def _wordpiece_trainer(options: TrainingOptions) -> trainers.Trainer:
    return trainers.WordPieceTrainer(
        vocab_size=_room(options),
        min_frequency=options.min_frequency,
        special_tokens=list(BASIC),
        limit_alphabet=max(1, (_room(options) - len(BASIC)) // 2),  # each comes alone and with ##
    )


TOKENIZERS: dict[str, TokenizerKind] = {
    "bpe": TokenizerKind(  # arXiv 1508.07909
        model=lambda: models.BPE(unk_token=UNKNOWN, fuse_unk=True),
        trainer=_bpe_trainer,
        split=_words,
        decoder=decoders.Metaspace,
    ),
    "byte-bpe": TokenizerKind(  # GPT-2's: no text is unknown, every text comes back exactly
        model=models.BPE,
        trainer=_byte_trainer,
        split=lambda: pre_tokenizers.ByteLevel(add_prefix_space=False),
        decoder=decoders.ByteLevel,
        alphabet=256,
    ),
    "unigram": TokenizerKind(  # arXiv 1804.10959
        model=models.Unigram,
        trainer=_unigram_trainer,
        split=_words,
        decoder=decoders.Metaspace,
    ),
    "wordpiece": TokenizerKind(  # BERT's; spaces come back as the pieces suggest, not as they were
        model=lambda: models.WordPiece(unk_token=UNKNOWN),
        trainer=_wordpiece_trainer,
        split=pre_tokenizers.BertPreTokenizer,
        decoder=decoders.WordPiece,
        alphabet=2,  # a character alone, and with ## before it
    ),
    "char": TokenizerKind(
        model=lambda: models.BPE(unk_token=UNKNOWN),
        trainer=_character_trainer,
        split=_characters,
        decoder=decoders.Fuse,
    ),
}

NORMALIZATIONS: dict[str, Callable[[], normalizers.Normalizer] | None] = {
    "none": None,
    "nfc": normalizers.NFC,
    "nfkc": normalizers.NFKC,
    "strip-accents": lambda: normalizers.Sequence(
        [normalizers.NFD(), normalizers.StripAccents(), normalizers.NFC()]
    ),
}


def train_tokenizer(
    lines: Iterable[str], options: TrainingOptions, *, progress: bool = False
) -> Tokenizer:
    """Train on lines of text, read once. Interrupting it works at any time.

    Raises TokenizerOptionError for impossible options, CorpusError where there is no text.
    """
    kind = check_options(options)
    backend = tokenizers.Tokenizer(kind.model())
    backend.pre_tokenizer = kind.split()
    backend.decoder = kind.decoder()
    steps = _normalizers(options)
    if steps:
        backend.normalizer = normalizers.Sequence(steps)
    trainer = kind.trainer(options)
    setattr(trainer, "show_progress", progress)  # noqa: B010  (its stub does not say so)
    limited = _Limited(lines, options.max_bytes)
    try:
        _in_thread(lambda: backend.train_from_iterator(limited, trainer=trainer))
    except Exception as error:
        if type(error) is not Exception:  # the library's own errors are bare ones
            raise
        raise TokenizerOptionError(
            f"no {options.kind} tokenizer of {options.vocab_size} tokens for this text: {error}"
        ) from None
    if not limited.seen:
        raise CorpusError("there is no text to train a tokenizer on: every line is empty")
    backend.add_tokens([tokenizers.AddedToken(t, normalized=False) for t in options.special])
    return Tokenizer(backend)


def check_options(options: TrainingOptions) -> TokenizerKind:
    """The kind that is asked for. Raises TokenizerOptionError for what cannot be."""
    kind = _choose("tokenizer kind", options.kind, TOKENIZERS)
    _choose("normalization", options.normalization, NORMALIZATIONS)
    least = kind.alphabet + len(BASIC) + len(options.special)
    if options.vocab_size < least:
        raise TokenizerOptionError(
            f"a {options.kind} vocabulary of {options.vocab_size} is too small for its alphabet "
            f"and {len(BASIC) + len(options.special)} special tokens; ask for at least {least}"
        )
    return kind


def _choose(noun: str, name: str, table: dict[str, Entry]) -> Entry:
    if name not in table:
        raise TokenizerOptionError(f"no {noun} is called {name!r}; allowed: {', '.join(table)}")
    return table[name]


def _normalizers(options: TrainingOptions) -> list[normalizers.Normalizer]:
    make = _choose("normalization", options.normalization, NORMALIZATIONS)
    steps = [] if make is None else [make()]
    return [*steps, normalizers.Lowercase()] if options.lowercase else steps


class _Limited:
    """The lines up to a number of bytes; remembers whether there was any text."""

    def __init__(self, lines: Iterable[str], max_bytes: int) -> None:
        self.lines, self.left, self.seen = lines, max_bytes, False

    def __iter__(self) -> Iterator[str]:
        for line in self.lines:
            self.seen = self.seen or bool(line.strip())
            self.left -= len(line.encode())
            if self.left < 0:
                return
            yield line


def _in_thread(work: Callable[[], None]) -> None:
    """Run work in a daemon thread: the library ignores Ctrl-C, the waiting thread does not."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.1)
    if failures:
        raise failures[0]
