"""The options of `benchmark`: what is measured of a model's speed."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer
from msgspec import Meta

from transformer.bounds import check_number
from transformer.errors import ConfigError
from transformer.registry import either

from .groups import checked_name, option_field
from .names import DTYPES

if TYPE_CHECKING:
    from transformer.pipelines.benchmarking import BenchmarkSettings

_BATCH_SIZES = ("1", "8", "32")
_MOST = 10_000


def _parts(values: Iterable[str] | None) -> list[str]:
    """Return the parts of values with commas between, each once."""
    parts = (part.strip() for value in values or [] for part in value.split(","))
    return list(dict.fromkeys(parts))


def _checked_names(parameter: typer.CallbackParam, value: Any) -> Any:
    """Return names with commas between, one by one. Raises UnknownNameError for any other."""
    return [checked_name(parameter, name) for name in _parts(value)]


@dataclass(kw_only=True)
class BenchmarkOptions:
    """Number types, batches, searches and lengths of texts to measure."""

    dtype: list[str] | None = option_field(
        None,
        "--dtype NAME",
        f"Measure this number type alone: {either(DTYPES)} (see translate --help). May be "
        "repeated, or name several: float32,float16. Default: all.",
        panel="Running",
        choices=DTYPES,
        callback=_checked_names,
    )
    batch_size: list[str] | None = option_field(
        None,
        "--batch-size N",
        "Texts at once, in one batch on all threads. May be repeated, or name several. Default: "
        f"{','.join(_BATCH_SIZES)}.",
        panel="Running",
    )
    beam: int | None = option_field(
        None,
        "--beam N",
        "Beam search with N beams (up to 1000), beside greedy search; 1: greedy search alone. "
        "Default: 4 for a translator, 1 for a language model.",
        min=1,
        max=1000,
        panel="Beam search",
    )
    prompt_tokens: int | None = option_field(
        None,
        "--prompt-tokens N",
        "Random tokens of each text that is read: a source, or a prompt. Default: 24 for a "
        "translator, else 32, as far as the context has room.",
        min=1,
        panel="Input",
    )
    new_tokens: int | None = option_field(
        None,
        "-n --new-tokens N",
        "Tokens that are written after each text. Default: 32 for a translator, 64 for a language "
        "model, as far as the context has room.",
        min=1,
        panel="Length, repetition and content",
    )
    repeats: int = option_field(
        3,
        "--repeats N",
        "Runs of each number type, whose median is told, after one to warm up.",
        min=1,
        panel="Running",
    )

    def settings(self, *, with_texts: bool) -> "BenchmarkSettings":
        """Return them as the benchmark takes them.

        Raises ConfigError for what is no number, and for --prompt-tokens beside real texts.
        """
        from transformer.pipelines.benchmarking import BenchmarkSettings

        if with_texts and self.prompt_tokens is not None:
            raise ConfigError("--prompt-tokens is of random tokens; it cannot go with a FILE")
        return BenchmarkSettings(
            dtypes=tuple(self.dtype or DTYPES),
            batch_sizes=tuple(map(_size, _parts(self.batch_size) or _BATCH_SIZES)),
            beam=self.beam,
            prompt_tokens=self.prompt_tokens,
            new_tokens=self.new_tokens,
            repeats=self.repeats,
        )


def _size(text: str) -> int:
    """Return the number of texts in a batch. Raises ConfigError."""
    name = "--batch-size"
    try:
        size = int(text)
    except ValueError:
        shown = repr(text[:60])
        raise ConfigError(
            f"{name} is {shown}; it must be whole numbers with commas between, such as 1,8,32"
        ) from None
    check_number(name, size, Meta(ge=1, le=_MOST))
    return size
