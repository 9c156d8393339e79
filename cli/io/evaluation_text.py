"""Texts to evaluate on, of files: pairs, and texts with labels."""

from collections.abc import Sequence
from pathlib import Path

from tokenizer import CorpusCounts, CorpusError, TextFile, read_columns, read_pairs
from tokenizer.text import begins_with_names, format_of_name

from ..options.evaluation import DOORS, EvaluationOptions
from .output_checks import check_files, descriptor_of

Pair = tuple[str, str]


def check_evaluation_files(options: EvaluationOptions) -> None:
    """Raise OSError or ConfigError for files that cannot be read or written."""
    named = [getattr(options, door.field) for door in DOORS.values()]
    reading = [name for name in (*named, options.reference) if name is not None]
    if (out := options.save_outputs) is not None:
        if out == Path("-") or descriptor_of(out) is not None:
            from transformer.errors import ConfigError

            raise ConfigError(f"--save-outputs {out}: name a file; stdout has the scores")
        check_files(out, reading, option="--save-outputs")
    check_files(None, reading)


def read_evaluation_pairs(options: EvaluationOptions, read: CorpusCounts) -> list[Pair]:
    """Return the pairs of files. Raises OSError, or CorpusError where there are none."""
    if options.pairs is not None:
        names = options.columns.split(",") if options.columns else []
        rows = read_columns(options.pairs, _check_two(names), read)
        pairs = [(row[0], row[1]) for row in rows]
        files, remedy = [options.pairs], "name the columns with --columns, or leave that row out"
        files = [] if names else files  # a first row with these names is none of the pairs
    else:
        files = [str(options.source), str(options.reference)]
        sources, references = map(TextFile, files)
        pairs = list(read_pairs([sources], [references], read))
        remedy = "leave that row out of both (tail -n +2)"
    if not pairs:
        raise CorpusError(
            f"{options.pairs or options.source} is empty: there is nothing to evaluate on"
        )
    _refuse_names(files, pairs[0], read, remedy)
    return pairs


def _check_two(names: list[str]) -> list[str]:
    if len(names) in {0, 2}:
        return names
    from transformer.errors import ConfigError

    raise ConfigError(f"--columns: pairs need two columns, say 1,2; got {','.join(names)}")


def _refuse_names(files: Sequence[str], first: Pair, read: CorpusCounts, remedy: str) -> None:
    """Raise CorpusError for a first pair of names of columns in tables; tell of it in others."""
    if not files or (suspicion := begins_with_names(" and ".join(files), first)) is None:
        return
    if any(map(format_of_name, files)):
        raise CorpusError(f"{suspicion}: {remedy}, or name the files .txt if it is a pair")
    read.notice(f"{suspicion}, which are scored as a pair")
