"""Training of tokenizers with the `tokenizers` library: a registry of kinds."""

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
    """The options of a tokenizer to be trained."""

    kind: str = "bpe"
    vocab_size: int = 8000  # at most, with all special tokens
    normalization: str = "nfc"
    lowercase: bool = False
    min_frequency: int = 2
    special: tuple[str, ...] = field(default=())  # further tokens, recognized in texts
    max_bytes: int = 2_000_000_000  # text beyond is not read: pairs are counted in 32 bits


@dataclass(frozen=True)
class TokenizerKind:
    """A tokenization algorithm: its components, and the trainer of its vocabulary."""

    model: Callable[[], models.Model]
    trainer: Callable[[TrainingOptions], trainers.Trainer]
    pre_tokenizer: Callable[[], pre_tokenizers.PreTokenizer]
    decoder: Callable[[], decoders.Decoder]
    min_alphabet: int = 1  # the fewest tokens that its model can have


# A word or a run of other characters, with the ▁ (space) before it; a line end; further spaces.
_WORD = r"▁?[\p{L}\p{M}\p{N}]+|▁?[^▁\n\p{L}\p{M}\p{N}]+|\n|▁+"


def _word_splitter() -> pre_tokenizers.PreTokenizer:
    """Split into words with the space before as ▁; punctuation and line ends are separate."""
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(split=False), pre_tokenizers.Split(Regex(_WORD), "isolated")]
    )


def _character_splitter() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")


def _trainer_vocab_size(options: TrainingOptions) -> int:
    """Return the trainer's share of the vocabulary: added tokens come on top of it."""
    return options.vocab_size - len(options.special)


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


TOKENIZERS: dict[str, TokenizerKind] = {
    "bpe": TokenizerKind(  # arXiv 1508.07909
        model=lambda: models.BPE(unk_token=UNKNOWN, fuse_unk=True),
        trainer=_bpe_trainer,
        pre_tokenizer=_word_splitter,
        decoder=decoders.Metaspace,
    ),
    "byte-bpe": TokenizerKind(  # GPT-2's: no text is unknown, and decoding is exact
        model=models.BPE,
        trainer=_byte_trainer,
        pre_tokenizer=lambda: pre_tokenizers.ByteLevel(add_prefix_space=False),
        decoder=decoders.ByteLevel,
        min_alphabet=256,
    ),
    "unigram": TokenizerKind(  # arXiv 1804.10959
        model=models.Unigram,
        trainer=_unigram_trainer,
        pre_tokenizer=_word_splitter,
        decoder=decoders.Metaspace,
    ),
    "wordpiece": TokenizerKind(  # BERT's; decoding guesses the spaces from the pieces
        model=lambda: models.WordPiece(unk_token=UNKNOWN),
        trainer=_wordpiece_trainer,
        pre_tokenizer=pre_tokenizers.BertPreTokenizer,
        decoder=decoders.WordPiece,
        min_alphabet=2,  # a character, and the same with ## before it
    ),
    "char": TokenizerKind(
        model=lambda: models.BPE(unk_token=UNKNOWN),
        trainer=_character_trainer,
        pre_tokenizer=_character_splitter,
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
    """Train a tokenizer on lines of text, read once; Ctrl-C works at any time.

    Raises TokenizerOptionError for impossible options, and CorpusError if there is no text.
    """
    kind = check_options(options)
    backend = tokenizers.Tokenizer(kind.model())
    backend.pre_tokenizer = kind.pre_tokenizer()
    backend.decoder = kind.decoder()
    steps = _normalizers(options)
    if steps:
        backend.normalizer = normalizers.Sequence(steps)
    trainer = kind.trainer(options)
    setattr(trainer, "show_progress", progress)  # noqa: B010  (missing in its type stub)
    limited = _LimitedLines(lines, options.max_bytes)
    try:
        _run_in_thread(lambda: backend.train_from_iterator(limited, trainer=trainer))
    except Exception as error:
        if type(error) is not Exception:  # the library raises bare Exceptions
            raise
        raise TokenizerOptionError(
            f"no {options.kind} tokenizer of {options.vocab_size} tokens for this text: {error}"
        ) from None
    if not limited.has_text:
        raise CorpusError("there is no text to train a tokenizer on: every line is empty")
    backend.add_tokens([tokenizers.AddedToken(t, normalized=False) for t in options.special])
    return Tokenizer(backend)


def check_options(options: TrainingOptions) -> TokenizerKind:
    """Return the kind of tokenizer. Raises TokenizerOptionError for impossible options."""
    kind = _look_up("tokenizer kind", options.kind, TOKENIZERS)
    _look_up("normalization", options.normalization, NORMALIZATIONS)
    min_vocab_size = kind.min_alphabet + len(BASIC) + len(options.special)
    if options.vocab_size < min_vocab_size:
        raise TokenizerOptionError(
            f"a {options.kind} vocabulary of {options.vocab_size} is too small for its alphabet "
            f"and {len(BASIC) + len(options.special)} special tokens; choose at least "
            f"{min_vocab_size}"
        )
    return kind


def _look_up(noun: str, name: str, table: dict[str, Entry]) -> Entry:
    if name not in table:
        raise TokenizerOptionError(f"no {noun} is called {name!r}; allowed: {', '.join(table)}")
    return table[name]


def _normalizers(options: TrainingOptions) -> list[normalizers.Normalizer]:
    make = _look_up("normalization", options.normalization, NORMALIZATIONS)
    steps = [] if make is None else [make()]
    return [*steps, normalizers.Lowercase()] if options.lowercase else steps


class _LimitedLines:
    """Lines up to a number of bytes; `has_text` is True if any of them was not blank."""

    def __init__(self, lines: Iterable[str], max_bytes: int) -> None:
        self.lines, self.remaining_bytes, self.has_text = lines, max_bytes, False

    def __iter__(self) -> Iterator[str]:
        for line in self.lines:
            self.has_text = self.has_text or bool(line.strip())
            self.remaining_bytes -= len(line.encode())
            if self.remaining_bytes < 0:
                return
            yield line


def _run_in_thread(work: Callable[[], None]) -> None:
    """Run a function in a daemon thread: the library ignores Ctrl-C, the waiting thread not."""
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
