"""Names of outputs, looked at before any work is done: what they would replace, or promise."""

import errno
import os
import re
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from transformer.folder_layout import is_run

from .owned_files import is_model_folder, owner_of, run_of

STDOUT = Path("-")
_MAX_DESCRIPTOR = (1 << 31) - 1
_DESCRIPTORS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}


def check_files(
    out: Path | None,
    reading: Sequence[str | Path],
    *,
    packed: bool = True,
    arrays: bool = False,
    option: str = "-o",
) -> None:
    """Raise OSError or ConfigError for files that cannot be read or written.

    An output that is one of the inputs, or a file of a run or a model, is refused under any of its
    names, and so is a name that promises another kind of file; without `packed`, a packed one, too.
    With `arrays`, the name of a NumPy array is none of these. `-` is stdin, or stdout. Two names of
    one stream are refused by CorpusError. `option` is the one that names the output.
    """
    if len(reading) > 1:
        from tokenizer.text import refuse_repeated_streams

        refuse_repeated_streams(map(str, reading))
    inputs = [state_of_input(str(name)) for name in reading]
    if out is None or out == STDOUT:
        target = standard_state(1)
    elif (descriptor := descriptor_of(out)) is not None:
        try:
            target = os.fstat(descriptor)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(out)) from None
    else:
        target = _state_of_output(out)
        _check_owner(out, option)
        if not (arrays and is_array_name(out)):
            _check_name(out, packed=packed, arrays=arrays, option=option)
    if target is None or not stat.S_ISREG(target.st_mode):
        if target is not None and arrays and out is not None and is_array_name(out):
            _refuse_stream(out, option)
        return
    if any(each is not None and os.path.samestat(each, target) for each in inputs):
        raise FileExistsError(
            errno.EEXIST, "is an input file; choose another output file", str(out or "stdout")
        )


def check_folder(out: Path, reading: Sequence[Path] = ()) -> None:
    """Raise OSError or ConfigError for a name that no new folder can have.

    It is none of stdout or of a file, replaces no model that is read, and is no part of a run.
    """
    if out == STDOUT or descriptor_of(out) is not None:
        reason = "is stdout, which cannot hold a folder; name a folder"
        raise NotADirectoryError(errno.ENOTDIR, reason, str(out))
    from tokenizer.text.output_names import binary_kind, find_output_packing
    from transformer.errors import ConfigError

    if not out.is_dir() and (binary_kind(out.name) or find_output_packing(out.name)):
        raise ConfigError(
            f"-o {out}: this command writes a folder, and that is a file's name; leave out "
            f"{out.suffix}"
        )
    path = Path(os.path.realpath(out))
    for read in reading:
        source = Path(os.path.realpath(read))
        if source.exists() and (source == path or path in source.parents):
            raise ConfigError(
                f"-o {out} would replace {read}, which is read; choose another folder"
            )
    if (run := run_of(out)) is not None:
        raise ConfigError(f"-o {out} is a part of the run {run}; choose another folder")


def check_run_folder(out: Path) -> None:
    """Raise ConfigError for the folder of a model, in which a run would replace files."""
    check_folder(out)
    if is_model_folder(out) and not is_run(out):
        from transformer.errors import ConfigError

        raise ConfigError(f"-o {out} holds a model; choose another folder for the run")


def standard_state(descriptor: int) -> os.stat_result | None:
    """Return the state of stdin or stdout; None where they are no files of the system."""
    with suppress(OSError, ValueError, AttributeError):
        return os.fstat((sys.stdin, sys.stdout)[descriptor].fileno())
    return None


def output_is_terminal(out: Path | None) -> bool:
    """Return True if results are shown on a terminal, by whatever name."""
    if out is None or out == STDOUT:
        return sys.stdout.isatty()
    descriptor = descriptor_of(out)
    try:
        if descriptor is not None:
            return os.isatty(descriptor)
        if not out.is_char_device():  # a pipe would wait for its reader to be opened
            return False
        descriptor = os.open(out, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return os.isatty(descriptor)
    finally:
        os.close(descriptor)


def state_of_input(name: str) -> os.stat_result | None:
    """Return the state of a file to read. Raises OSError if it cannot be."""
    if name == "-":
        return standard_state(0)
    state = Path(name).stat()
    if stat.S_ISDIR(state.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    if not os.access(name, os.R_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
    return state


def packing_of(path: Path) -> str | None:
    """Return the compression that a file's name asks for, or that of the file behind a link."""
    from tokenizer.text.output_names import find_output_packing

    if descriptor_of(path) is not None:
        return None
    return find_output_packing(path.name) or find_output_packing(os.path.realpath(path))


def is_array_name(path: Path) -> bool:
    """Return True for the name of a NumPy array, by its ending, in capitals or not."""
    return path.suffix.lower() == ".npy"


def _check_name(path: Path, *, packed: bool, arrays: bool, option: str) -> None:
    """Raise ConfigError for a name that promises what is not written."""
    from tokenizer import CorpusError
    from tokenizer.text.output_names import PACKED_ENDINGS, binary_kind
    from tokenizer.text.signatures import PACKINGS
    from transformer.errors import ConfigError

    allowed = (
        f"plain, or packed in a file named {PACKED_ENDINGS}" if packed else "plain, not packed"
    )
    if arrays:
        allowed += ", or an array in a file named .npy"
    packing = packing_of(path)
    kind = binary_kind(path.name) or binary_kind(os.path.realpath(path))
    if packing is not None and not packed:
        kind = f"a file packed by {packing}"
    if kind is not None:
        raise ConfigError(
            f"{option} {path} is the name of {kind}; this command writes text, {allowed}"
        )
    if packing is not None:
        try:
            PACKINGS[packing].check()
        except CorpusError as error:
            raise ConfigError(f"{option} {path}: {error}") from None


def _refuse_stream(path: Path, option: str) -> None:
    """Raise ConfigError for an array's name that is a pipe's or a device's."""
    from transformer.errors import ConfigError

    raise ConfigError(
        f"{option} {path} is no regular file: an array's header is written last, at its beginning; "
        "name a file, or leave out .npy for vectors as text"
    )


def _check_owner(path: Path, option: str) -> None:
    """Raise ConfigError for a file that belongs to a run or a model."""
    if (owner := owner_of(path)) is not None:
        from transformer.errors import ConfigError

        raise ConfigError(f"{option} {path} is a part of {owner}; choose another name or folder")


def _state_of_output(path: Path) -> os.stat_result | None:
    """Return the state of a file to write, None for a new one. Raises OSError if it cannot be."""
    folder = Path(os.path.realpath(path)).parent
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder; name a file to write", str(path))
    if not folder.is_dir():
        raise FileNotFoundError(
            errno.ENOENT, "no such file or directory; make the folder to write in first", str(path)
        )
    exists = path.exists()
    if not os.access(path if exists else folder, os.W_OK):
        raise PermissionError(errno.EACCES, "cannot be written: permission denied", str(path))
    return path.stat() if exists else None


def descriptor_of(path: Path) -> int | None:
    """Return the number of an open file that a path such as /dev/stdout means, through links."""
    name = os.path.abspath(path)  # noqa: PTH100 (resolve would follow the last link, too)
    for _ in range(8):
        if name in _DESCRIPTORS:
            return _DESCRIPTORS[name]
        if match := re.fullmatch(rf"(?:/dev/fd|/proc/(?:self|{os.getpid()})/fd)/(\d+)", name):
            return min(int(match[1][:10]), _MAX_DESCRIPTOR)
        if not Path(name).is_symlink():
            break
        name = os.path.normpath(Path(name).parent / Path(name).readlink())
    return None
