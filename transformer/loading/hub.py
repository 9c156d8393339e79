"""Models by their name on the Hugging Face hub, through that library's cache and settings.

Settings are HF_HOME, HF_HUB_OFFLINE, HF_TOKEN and so on. Only data is fetched; no code of a model
is run.
"""

import re
from collections.abc import Sequence
from pathlib import Path

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


def _snapshot(name: str, revision: str | None, files: Sequence[str]) -> Path:
    from huggingface_hub import snapshot_download  # noqa: PLC0415  (a second of imports)

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(files)))
    except Exception as error:  # of several libraries: network, cache, server
        reason = " ".join((str(error) or type(error).__name__).split())[:200]
        raise CheckpointError(
            f"there is no folder {name}, and no such model could be fetched from the hub: {reason}"
        ) from None
