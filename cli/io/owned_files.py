"""Files that belong to runs and models: no output of a command takes their place.

Torch-free, for commands of the tokenizer. Tests hold the names against the files that runs and
models have.
"""

import json
import os
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

_LEVELS = 3  # of subfolders in which a run or a model has files
_RUN_MARKS = ("run.json", "run.lock", "checkpoints/step-*", "training/step-*")
_RUN_FILES = ("run.json", "run.lock", "recipe.toml", "metrics.jsonl", "tokenizer.json")
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


def owner_of(path: Path) -> str | None:
    """Return the run or the model that a file, which may not exist yet, belongs to.

    >>> owner_of(Path("/proc/self/status")) is None
    True
    """
    path = Path(os.path.realpath(path))
    for folder in path.parents[:_LEVELS]:
        name = path.relative_to(folder).as_posix()
        if is_run_folder(folder) and name in _RUN_FILES:
            return f"the run {folder}"
        if is_model_folder(folder) and any(fnmatchcase(name, each) for each in _MODEL_FILES):
            return f"the model {folder}"
        if name in _names_in_manifest(folder):
            return f"the folder {folder}"
    return None


def is_run_folder(folder: Path) -> bool:
    """Return True for a folder in which a run was begun."""
    return _has_any(folder, _RUN_MARKS)


def is_model_folder(folder: Path) -> bool:
    """Return True for a folder with weights, of this program or another."""
    return _has_any(folder, _MODEL_MARKS)


def _has_any(folder: Path, patterns: Iterable[str]) -> bool:
    return any(next(folder.glob(pattern), None) is not None for pattern in patterns)


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
