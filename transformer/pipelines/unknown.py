"""Characters that a model does not know: in what it reads, in what it writes, in constraints."""

import unicodedata
from collections.abc import Mapping, Sequence

from tokenizer import Tokenizer

from ..decoding.constraints.spelling import spelling_of
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


def changed_prefix(tokenizer: Tokenizer, prefix: str, ids: Sequence[int]) -> str:
    """Return the text of a prefix's ids where it differs from the prefix, else nothing.

    White space does not count, nor do forms of a character that Unicode calls equal.
    """
    written = tokenizer.decode(ids)
    return "" if _comparable(written) == _comparable(prefix) else written


def _comparable(text: str) -> str:
    return unicodedata.normalize("NFC", "".join(text.split()))


def check_prefix(tokenizer: Tokenizer, prefix: str) -> None:
    """Raise ConfigError for --prefix with characters that the model cannot write."""
    try:
        prefix_ids(tokenizer, prefix)
    except LineError as error:
        raise ConfigError(f"--prefix: {error}") from None


def unwritable(
    tokenizer: Tokenizer, size: int, texts: Mapping[str, Sequence[Sequence[str]]]
) -> list[str]:
    """Return a sentence for each text, by its option, that the model cannot write anyway.

    A text is given in all of its forms, the user's first. `size`: the tokens of the model.
    """
    sentences = []
    spelling = spelling_of(tokenizer, size) if any(texts.values()) else None
    for option, values in texts.items():
        for forms in values:
            if spelling is None:
                unknown = tokenizer.unknown_characters(forms[:1])[0]
            elif any(map(spelling.holds, forms)):
                continue
            else:
                unknown = spelling.unwritable(forms[0]) or forms[0]
            if unknown:
                words = f"the model cannot write {unknown[:60]!r}"
                sentences.append(f"{option} {forms[0][:60]!r} has no effect: {words}")
    return sentences
