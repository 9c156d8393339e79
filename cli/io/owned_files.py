"""Files that belong to runs and models: no output of a command takes their place.

Torch-free, for commands of the tokenizer. Tests hold the names against the files that runs and
models have.
"""

import json
import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from transformer.folder_layout import CHECKPOINTS, DATA, LOCK, RUN, STATES, has_any, is_run

_LEVELS = 3  # of subfolders in which a model has files
_LINKS = 40  # as many as Linux follows
_RUN_PARTS = (
    CHECKPOINTS, STATES, DATA, RUN, LOCK, "recipe.toml", "metrics.jsonl", "tokenizer.json",
)  # fmt: skip
_MODEL_MARKS = (
    "*.safetensors", "*.safetensors.index.json", "pytorch_model*", "model.bin", "adapter_model.*",
    "*.gguf", "*.onnx", "tf_model.h5", "flax_model.msgpack",
)  # fmt: skip
_MODEL_FILES = (
    *_MODEL_MARKS, "*config*.json", "*token*.json", "*vocab*", "*.bin", "*.model", "*.spm",
    "*.jinja", "*.tiktoken", "chat_template*", "manifest.json", "merges.txt", "modules.json",
    "README.md",
)  # fmt: skip
_MANIFEST = "manifest.json"


def run_of(path: Path) -> Path | None:
    """Return the run of which a path, which may not exist yet, is a part, by any of its names.

    All below a run's `checkpoints`, `training` and `data` is its own: it removes and reads there
    by name. What lies beside them, such as an export, is the user's.
    """
    for name in _names(path):
        for folder in name.parents:
            if name.relative_to(folder).parts[0] in _RUN_PARTS and is_run(folder):
                return folder
    return None


def owner_of(path: Path) -> str | None:
    """Return the run or the model that a file, which may not exist yet, belongs to.

    >>> owner_of(Path("/proc/self/status")) is None
    True
    """
    if (run := run_of(path)) is not None:
        return f"the run {run}"
    path = Path(os.path.realpath(path))
    for folder in path.parents[:_LEVELS]:
        name = path.relative_to(folder).as_posix()
        if is_model_folder(folder) and any(fnmatchcase(name, each) for each in _MODEL_FILES):
            return f"the model {folder}"
        if name in _names_in_manifest(folder):
            return f"the folder {folder}"
    return None


def is_model_folder(folder: Path) -> bool:
    """Return True for a folder with weights, of this program or another."""
    return has_any(folder, _MODEL_MARKS)


def _names(path: Path) -> Iterator[Path]:
    """Yield the names of a path: as it is, with one more of its links followed each, and resolved.

    A run's `checkpoints` may itself be a link to a larger disk.
    """
    name = Path(os.path.abspath(path))  # noqa: PTH100 (resolve would follow all links at once)
    for _ in range(_LINKS):
        yield name
        link = next((p for p in [*reversed(name.parents), name] if os.path.islink(p)), None)  # noqa: PTH114
        if link is None:
            break
        name = Path(os.path.abspath(link.parent / link.readlink() / name.relative_to(link)))  # noqa: PTH100
    yield Path(os.path.realpath(path))


def _names_in_manifest(folder: Path) -> set[str]:
    """Return the names that a folder's manifest has sums of; none for other files of that name."""
    try:
        entries = json.loads((folder / _MANIFEST).read_bytes())
    except (OSError, ValueError, RecursionError):
        return set()
    if not isinstance(entries, dict):
        return set()
    with_sums = {n for n, entry in entries.items() if isinstance(entry, dict) and "sha256" in entry}
    return {*with_sums, _MANIFEST} if with_sums else set()
