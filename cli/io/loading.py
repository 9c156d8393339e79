"""Loading of models for commands, with a notice."""

from collections.abc import Sequence
from pathlib import Path

from transformer.errors import ConfigError
from transformer.loading import LoadedModel, load_for_inference
from transformer.pipelines.arguments import SpeculationArguments
from transformer.pipelines.arguments.argument import files_of
from transformer.pipelines.arguments.search import SearchArguments
from transformer.pipelines.session import Session

from ..console import erase_status, print_notice, progress_enabled, write_status
from ..options.common import LineIOOptions
from .line_reader import LineReader
from .output_checks import check_files


def load_with_notice(
    model: Path,
    *,
    device: str,
    dtype: str | None,
    quiet: bool,
    trust_cache: bool = True,
    adapter: Path | None = None,
    told: set[str] | None = None,
) -> LoadedModel:
    """Load a model folder; at a terminal, show that until it is done, for it may take long.

    What it computes with is told, where that is not what its files have, or not what was asked, and
    unless `quiet` where nobody asked for it; but for sentences that were `told` before.
    """
    if progress_enabled(quiet):
        write_status(f"loading {model} …")
    loaded = load_for_inference(
        model, device=device, dtype=dtype, trust_cache=trust_cache, adapter=adapter
    )
    erase_status()
    told = set() if told is None else told
    for notice in [*loaded.dtype_notices, "" if quiet else loaded.dtype_choice]:
        if notice and notice not in told:
            print_notice(notice)
        told.add(notice)
    return loaded


def check_adapter(adapter: Path | None, models: Sequence[Path]) -> None:
    """Raise ConfigError for an adapter that goes with several models."""
    if adapter is not None and len(models) > 1:
        raise ConfigError(f"--adapter is for one model, and -m names {len(models)}")


def open_session(
    models: Sequence[Path],
    options: LineIOOptions,
    speculation: SpeculationArguments | None = None,
    arguments: SearchArguments | None = None,
    *,
    reading: Sequence[str] | LineReader,
    adapter: Path | None = None,
) -> Session:
    """Load the models of a command that answers the lines of `reading`, or the texts of files.

    An adapter is put on the only model.
    Arguments that have no effect are told. Raises ConfigError, OSError and CorpusError, before
    that, for files that cannot be read or written.
    """
    named = [] if arguments is None else files_of(arguments)
    paths = reading.paths if isinstance(reading, LineReader) else reading
    check_files(options.out, [*paths, *named])
    if isinstance(reading, LineReader):
        reading.check_first_records()
    device, dtype, quiet = options.device, options.dtype, options.quiet
    check_adapter(adapter, models)
    told: set[str] = set()
    loaded = [
        load_with_notice(model, device=device, dtype=dtype, quiet=quiet, adapter=adapter, told=told)
        for model in models
    ]
    session = Session(loaded, speculation, processes=True)
    for warning in [] if arguments is None else session.warnings(arguments):
        print_notice(warning)
    return session
