"""Training of tokenizers with the `tokenizers` library."""

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import tokenizers
from tokenizers import normalizers

from .errors import CorpusError, TokenizerOptionError
from .kinds import MAX_WORD, TOKENIZERS, TokenizerKind, TrainingOptions
from .quantities import format_count
from .special import BASIC
from .tokenizer import Tokenizer

Entry = TypeVar("Entry")


NORMALIZATIONS: dict[str, Callable[[], normalizers.Normalizer] | None] = {
    "none": None,
    "nfc": normalizers.NFC,
    "nfkc": normalizers.NFKC,
    "strip-accents": lambda: normalizers.Sequence(
        [normalizers.NFD(), normalizers.StripAccents(), normalizers.NFC()]
    ),
}


def train_tokenizer(
    lines: Iterable[str],
    options: TrainingOptions,
    *,
    progress: bool = False,
    notice: Callable[[str], None] | None = None,
) -> Tokenizer:
    """Train a tokenizer on lines of text, read once; Ctrl-C works at any time.

    `notice` is called with what a user should know of the text: that words were cut. Raises
    TokenizerOptionError for impossible options, and CorpusError if there is no text.
    """
    kind = check_options(options)
    backend = tokenizers.Tokenizer(kind.model())
    split_around = kind.inner_pre_tokenizer if options.reserved else None
    backend.pre_tokenizer = (split_around or kind.pre_tokenizer)()
    backend.decoder = kind.decoder()
    steps = _normalizers(options)
    if steps:
        backend.normalizer = normalizers.Sequence(steps)
    trainer = kind.trainer(options)
    setattr(trainer, "show_progress", progress)  # noqa: B010  (missing in its type stub)
    limited = _LimitedLines(lines, options.max_bytes, kind)
    try:
        _run_in_thread(lambda: backend.train_from_iterator(limited, trainer=trainer))
    except Exception as error:
        if type(error) is not Exception:  # the library raises bare Exceptions
            raise
        raise TokenizerOptionError(
            f"no {options.kind} tokenizer of {format_count(options.vocab_size, 'token')} "
            f"for this text: {error}"
        ) from None
    if not limited.has_text:
        raise CorpusError("there is no text to train a tokenizer on: every line is empty")
    if backend.get_vocab_size() == len(BASIC):
        raise CorpusError(
            f"nothing of the text is left to train a tokenizer on: the normalization "
            f"{options.normalization} takes all of it away"
        )
    if limited.long_words and notice is not None:
        notice(limited.describe_cuts())
    backend = kind.finish(backend, options)
    backend.add_tokens([tokenizers.AddedToken(t, normalized=False) for t in options.special])
    reserved = {"special": True, "normalized": False, "lstrip": kind.joins_spaces}
    backend.add_tokens([tokenizers.AddedToken(t, **reserved) for t in options.reserved])
    return Tokenizer(backend)


def check_options(options: TrainingOptions) -> TokenizerKind:
    """Return the kind of tokenizer. Raises TokenizerOptionError for impossible options."""
    kind = _look_up("tokenizer kind", options.kind, TOKENIZERS)
    _look_up("normalization", options.normalization, NORMALIZATIONS)
    if options.byte_fallback and not kind.byte_fallback:
        names = ", ".join(name for name, other in TOKENIZERS.items() if other.byte_fallback)
        raise TokenizerOptionError(
            f"byte fallback is for {names}, not {options.kind}: of the others, byte-bpe knows all "
            "bytes"
        )
    special_tokens = len(BASIC) + len(options.special) + len(options.reserved)
    min_vocab_size = kind.min_alphabet + special_tokens
    min_vocab_size += 256 * options.has_bytes
    if options.vocab_size < min_vocab_size:
        raise TokenizerOptionError(
            f"a {options.kind} vocabulary of {options.vocab_size} is too small for its alphabet "
            f"and {special_tokens} special tokens; choose at least "
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


# Some word may be too long; spaces in a row are words, too.
_LONG_RUN = re.compile(rf"\S{{{MAX_WORD}}}|\s{{{MAX_WORD}}}")


class _LimitedLines:
    """Lines up to a number of bytes; `has_text` is True if any of them was not blank.

    Lines are cut inside of words that are too long, as a kind of tokenizer splits them.
    """

    def __init__(self, lines: Iterable[str], max_bytes: int, kind: TokenizerKind) -> None:
        self.lines, self.remaining_bytes, self.has_text = lines, max_bytes, False
        self.splitter, self.max_run, self.long_words = kind.pre_tokenizer(), kind.max_run, 0

    def __iter__(self) -> Iterator[str]:
        for line in self.lines:
            self.has_text = self.has_text or bool(line.strip())
            self.remaining_bytes -= len(line.encode())
            if self.remaining_bytes < 0:
                return
            if len(line) > MAX_WORD and _LONG_RUN.search(line):
                yield from self._parts(line)
            else:
                yield line

    def describe_cuts(self) -> str:
        """Return what a user should know of the words that were cut."""
        counted = "" if self.max_run is None else f", up to {self.max_run:,} characters of each"
        return (
            f"words of more than {MAX_WORD:,} characters were cut into parts to be counted"
            f"{counted}: {self.long_words:,}"
        )

    def _parts(self, line: str) -> Iterator[str]:
        """Yield a line in parts, without a word of more than MAX_WORD characters."""
        start = 0
        for _, (first, last) in self.splitter.pre_tokenize_str(line):
            if last - first <= MAX_WORD:
                continue
            self.long_words += 1
            end = last if self.max_run is None else min(last, first + self.max_run)
            for cut in (*range(first + MAX_WORD, end, MAX_WORD), end):
                yield line[start:cut]
                start = cut
            start = last
        yield line[start:]


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
