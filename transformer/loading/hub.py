"""Models by their name on the Hugging Face hub, through that library's cache and settings.

Settings are HF_HOME, HF_HUB_OFFLINE, HF_TOKEN and so on. Only data is fetched; no code of a model
is run.
"""

import errno
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from checkpoints import CheckpointError
from tokenizer import TOKENIZER_FILES

from ..adapters.peft_config import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from ..chat.template import CHAT_FILES
from ..folder_search import hub_cache
from ..model_names import HUB_NAME, likely_model
from .foreign import DIFFUSERS_INDEX, describe_foreign
from .generation_config import GENERATION
from .pooling_config import POOLING_FILES, TRANSFORMER_FOLDERS

_NEEDED = (
    *("config.json", GENERATION, *TOKENIZER_FILES, *POOLING_FILES, *CHAT_FILES),
    *(ADAPTER_CONFIG, DIFFUSERS_INDEX),  # which say what else it is
)
# Failures of this machine, not of the network, that may come without the path.
_LOCAL = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.ENAMETOOLONG, errno.EIO, errno.EMFILE, errno.ENFILE),
}
# The first kind of weights that exists is used; shards are numbered.
_WEIGHTS = (
    ("model.safetensors", "model.safetensors.index.json", "model-*-of-*.safetensors"),
    ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-*-of-*.bin"),
    ADAPTER_WEIGHTS,
)


def fetch_model(name: str) -> Path:
    """Return the folder of a hub model, downloaded unless cached. Raises CheckpointError."""
    match = HUB_NAME.fullmatch(name)
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
    if not hub_cache().is_dir():
        return []  # without a second of imports
    from huggingface_hub import scan_cache_dir  # noqa: PLC0415
    from huggingface_hub.errors import CacheNotFound  # noqa: PLC0415

    try:
        repos = [repo for repo in scan_cache_dir().repos if repo.repo_type == "model"]
    except (CacheNotFound, OSError):
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
    from huggingface_hub import snapshot_download  # noqa: PLC0415  (1 s)

    try:
        with _limited_time():
            return Path(snapshot_download(name, revision=revision, allow_patterns=list(files)))
    except Exception as error:  # of several libraries: network, cache, server
        near = likely_model(name)
        raise CheckpointError(
            f"there is no folder {name}{f' ({near})' if near else ''}, and "
            f"{_failure(error, name, revision)}"
        ) from None


@contextmanager
def _limited_time() -> Iterator[None]:
    """Limit the time of requests inside; the library's client, which others use, is as before."""
    from huggingface_hub import get_session  # noqa: PLC0415

    client = get_session()
    hooks = client.event_hooks
    if _limit_time in hooks["request"]:  # by another thread
        yield
        return
    client.event_hooks = {**hooks, "request": [*hooks["request"], _limit_time]}
    try:
        yield
    finally:
        hooks = client.event_hooks
        left = [each for each in hooks["request"] if each is not _limit_time]
        client.event_hooks = {**hooks, "request": left}


def _limit_time(request: Any) -> None:
    """Give a request the time of downloads: without it the library waits for ever for some."""
    from huggingface_hub import constants  # noqa: PLC0415

    limits = request.extensions.get("timeout") or {}
    names = ("connect", "read", "write", "pool")
    most = constants.HF_HUB_DOWNLOAD_TIMEOUT
    request.extensions["timeout"] = {name: limits.get(name) or most for name in names}


def _failure(error: Exception, name: str, revision: str | None) -> str:
    """Return the reason why a model could not be fetched, and what helps."""
    from huggingface_hub import constants, errors, get_token  # noqa: PLC0415

    hub = constants.ENDPOINT
    answer = getattr(error if hasattr(error, "response") else error.__cause__, "response", None)
    status = getattr(answer, "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        text = f"the hub's model asks for consent: give it at {hub}/{name}, and set HF_TOKEN"
    elif isinstance(error, errors.RevisionNotFoundError):
        text = f"the hub's model has no revision {revision}"
    elif status == 401 and get_token():
        text = f"{hub} refuses your token: set HF_TOKEN to a valid one (or to none: hf auth logout)"
    elif status == 403:
        text = (
            f"{hub} refuses you its files (403): ask for access at {hub}/{name}, and set HF_TOKEN"
        )
    elif isinstance(error, errors.RepositoryNotFoundError) or status in {401, 404}:
        text = f"{hub} has no such model, or not for you: a private one needs HF_TOKEN"
    elif status is None and isinstance(error, OSError) and _is_local(error):
        text = (
            f"{error.filename or constants.HF_HUB_CACHE} cannot keep it: "
            f"{error.strerror or error} (HF_HOME names another folder for the hub's cache)"
        )
    elif status is not None or isinstance(error, errors.LocalEntryNotFoundError | OSError):
        text = _unreachable(hub, status, f"{constants.HF_HUB_CACHE} holds no such model whole")
    else:
        reason = textwrap.shorten(str(error) or type(error).__name__, 150, placeholder=" …")
        text = f"it could not be fetched from {hub}: {reason}"
    return text


def _is_local(error: OSError) -> bool:
    """Return True for a failure of a disk or a folder of this machine."""
    return error.filename is not None or error.errno in _LOCAL


def _unreachable(hub: str, status: int | None, cache: str) -> str:
    """Return the reason why a hub gave nothing, with what the cache is like."""
    from huggingface_hub import constants  # noqa: PLC0415

    if constants.HF_HUB_OFFLINE:
        return f"{cache}; HF_HUB_OFFLINE is set, so the hub is not asked"
    if status is not None:
        return f"{hub} answers with the error {status}, while {cache}: try it again later"
    return (
        f"{hub} cannot be reached, while {cache}: look at the network, the proxy and HF_ENDPOINT "
        "(HF_HUB_OFFLINE=1 uses the cache alone)"
    )
