"""Characters that a model does not know: in what it reads, in what it writes, in constraints."""

from collections.abc import Mapping, Sequence

from tokenizer import Tokenizer

from ..decoding.request import Hypothesis
from ..errors import ConfigError, LineError


def unknown_read(
    tokenizer: Tokenizer, texts: Sequence[str], rows: Sequence[Sequence[int]]
) -> list[str]:
    """Return the characters of texts that are not known, each once; `rows` are the texts' ids."""
    unknown = "".join(tokenizer.unknown_characters(texts, rows))
    return list(dict.fromkeys(unknown.replace("\ufffd", "")))  # that stands for invalid UTF-8


def unknown_written(tokenizer: Tokenizer, hypotheses: Sequence[Hypothesis]) -> int:
    """Return the number of tokens for unknown characters in texts."""
    unknown = tokenizer.unknown_id
    return 0 if unknown is None else sum(h.ids.count(unknown) for h in hypotheses)


def prefix_ids(tokenizer: Tokenizer, prefix: str) -> list[int]:
    """Encode the text with which an answer begins.

    Raises LineError where it has characters that the model cannot write.
    """
    ids = tokenizer.encode(prefix) if prefix else []
    unknown = unknown_read(tokenizer, [prefix], [ids])
    if unknown:
        raise LineError(
            f"the prefix {prefix[:60]!r} has characters that the model cannot write: "
            f"{''.join(unknown)[:60]!r}"
        )
    return ids


def check_prefix(tokenizer: Tokenizer, prefix: str) -> None:
    """Raise ConfigError for --prefix with characters that the model cannot write."""
    try:
        prefix_ids(tokenizer, prefix)
    except LineError as error:
        raise ConfigError(f"--prefix: {error}") from None


def unwritable(tokenizer: Tokenizer, texts: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a sentence for each text, by its option, that the model cannot write anyway."""
    sentences = []
    for option, values in texts.items():
        for value, unknown in zip(values, tokenizer.unknown_characters(values), strict=True):
            if unknown:
                words = f"the model cannot write {unknown[:60]!r}"
                sentences.append(f"{option} {value[:60]!r} has no effect: {words}")
    return sentences
