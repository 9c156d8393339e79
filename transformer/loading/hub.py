"""Models by their name on the Hugging Face hub, through that library's cache and settings.

Settings are HF_HOME, HF_HUB_OFFLINE, HF_TOKEN and so on. Only data is fetched; no code of a model
is run.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from checkpoints import CheckpointError
from tokenizer import TOKENIZER_FILES

from ..chat.template import CHAT_FILES
from .foreign import ADAPTER_CONFIG, DIFFUSERS_INDEX, describe_foreign
from .generation_config import GENERATION
from .pooling_config import POOLING_FILES, TRANSFORMER_FOLDERS

_NAME = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
_NEEDED = (
    *("config.json", GENERATION, *TOKENIZER_FILES, *POOLING_FILES, *CHAT_FILES),
    *(ADAPTER_CONFIG, DIFFUSERS_INDEX),  # which say what else it is
)
# The first kind of weights that exists is used; shards are numbered.
_WEIGHTS = (
    ("model.safetensors", "model.safetensors.index.json", "model-*-of-*.safetensors"),
    ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-*-of-*.bin"),
)


def is_hub_name(path: Path) -> bool:
    """Return True if a path that does not exist can be a name on the hub (`owner/name[@revision]`).

    A path in an existing folder, such as `runs/en-de` if `runs` exists, cannot.
    """
    return _NAME.fullmatch(path.as_posix()) is not None and not path.parent.exists()


def fetch_model(name: str) -> Path:
    """Return the folder of a hub model, downloaded unless cached. Raises CheckpointError."""
    match = _NAME.fullmatch(name)
    assert match is not None
    for weights in _WEIGHTS:
        names = [*_NEEDED, *weights]
        inner = [f"{TRANSFORMER_FOLDERS}/{name}" for name in names]
        folder = _snapshot(match["name"], match["revision"], [*names, *inner])
        files = [*weights[:2], *(f"{TRANSFORMER_FOLDERS}/{name}" for name in weights[:2])]
        if any(path.is_file() for name in files for path in folder.glob(name)):
            return folder
    what = describe_foreign(folder)
    raise CheckpointError(
        f"{name} on the hub has no weights that this program reads{f': {what}' if what else ''}"
    )


class CachedModel(NamedTuple):
    """A model in the hub's cache."""

    name: str  # owner/name
    snapshots: list[Path]  # the newest first
    num_bytes: int
    changed: float  # seconds since 1970


def cached_models() -> list[CachedModel]:
    """Return the models that were downloaded, by name; none without a cache."""
    from huggingface_hub import scan_cache_dir  # noqa: PLC0415  (a second of imports)
    from huggingface_hub.errors import CacheNotFound  # noqa: PLC0415

    try:
        repos = [repo for repo in scan_cache_dir().repos if repo.repo_type == "model"]
    except (CacheNotFound, OSError, ValueError):  # ValueError: the cache is a file
        return []
    return sorted(
        CachedModel(
            repo.repo_id,
            [r.snapshot_path for r in sorted(repo.revisions, key=lambda r: -r.last_modified)],
            repo.size_on_disk,
            repo.last_modified,
        )
        for repo in repos
    )


def hub_name(folder: Path) -> str | None:
    """Return the name and the revision of a model folder in the hub's cache; None for others.

    >>> hub_name(Path("hub/models--owner--name/snapshots/c0ffee"))
    'owner/name, revision c0ffee'
    """
    for path in (folder, folder.parent):  # or its subfolder with the network
        repo = path.parent.parent.name
        if path.parent.name == "snapshots" and repo.startswith("models--"):
            return f"{repo.removeprefix('models--').replace('--', '/', 1)}, revision {path.name}"
    return None


def _snapshot(name: str, revision: str | None, files: Sequence[str]) -> Path:
    from huggingface_hub import snapshot_download  # noqa: PLC0415  (a second of imports)

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(files)))
    except Exception as error:  # of several libraries: network, cache, server
        reason = " ".join((str(error) or type(error).__name__).split())[:200]
        raise CheckpointError(
            f"there is no folder {name}, and no such model could be fetched from the hub: {reason}"
        ) from None
