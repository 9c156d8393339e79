"""The pooling of an encoder's states into a vector, as sentence-transformers stores it."""

from pathlib import Path
from typing import NamedTuple

from checkpoints import CheckpointError, read_json, read_json_list

_MODULES, _SETTINGS = "modules.json", "sentence_bert_config.json"
POOLING_FILES = (_MODULES, _SETTINGS, "*_Pooling/config.json")
# Our names by their flags, of which one is set.
_MODES = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "first",
    "pooling_mode_max_tokens": "max",
}


class PoolingConfig(NamedTuple):
    """The kind of pooling (an entry of POOLINGS), and its settings.

    Texts are cut at `max_tokens`, special tokens included.
    """

    kind: str = "mean"
    normalize: bool = True
    max_tokens: int | None = None


def read_pooling_config(folder: Path) -> PoolingConfig:
    """Return a folder's pooling; by default, the normalized mean. Raises CheckpointError."""
    if not (folder / _MODULES).is_file():
        return PoolingConfig()
    kind, normalize = "mean", False
    for module in read_json_list(folder / _MODULES):
        name = str(module.get("type", "")).rpartition(".")[2]
        if name == "Pooling":
            kind = _kind(folder / Path(str(module.get("path", ""))).name / "config.json")
        elif name == "Normalize":
            normalize = True
        elif name != "Transformer":
            raise CheckpointError(f"{folder / _MODULES}: a module {name!r} is not supported")
    settings = read_json(folder / _SETTINGS) if (folder / _SETTINGS).is_file() else {}
    max_length = settings.get("max_seq_length")
    return PoolingConfig(
        kind, normalize, max_length if isinstance(max_length, int) and max_length > 2 else None
    )


def sentence_files(folder: Path) -> list[str]:
    """Return the names of a folder's files that only sentence-transformers reads."""
    paths = [path for pattern in POOLING_FILES for path in folder.glob(pattern)]
    return sorted(path.relative_to(folder).as_posix() for path in paths if path.is_file())


def _kind(path: Path) -> str:
    settings = read_json(path)
    named = settings.get("pooling_mode")
    enabled = [
        n for n, value in settings.items() if n.startswith("pooling_mode_") and value is True
    ]
    kinds = [_MODES.get(name) for name in enabled] or [named if named in _MODES.values() else None]
    if len(kinds) != 1 or kinds[0] is None:
        requested = ", ".join(enabled) or repr(named)
        raise CheckpointError(f"{path} has {requested}; supported is one of {', '.join(_MODES)}")
    return kinds[0]
