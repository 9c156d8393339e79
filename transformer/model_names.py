"""Names of models: folders here, or owner/name on the Hugging Face hub; torch-free.

What is evidently a folder's name is never asked of the hub: where it is missing, that is said at
once, with the likely one that is there.
"""

import os
import re
from pathlib import Path

from .errors import MissingModelError
from .folder_search import FolderSearch, cached_names
from .registry import either, likely_names

HUB_NAME = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
_SHOWN = 3  # models of a folder that are named
_REMEDY = "give a model's or a run's folder, or a name on the hub (owner/name)"


def is_hub_name(name: str | Path) -> bool:
    """Return True if a name of no folder here can be one on the hub (`owner/name[@revision]`).

    A path in an existing folder, such as `runs/en-de` if `runs` exists, cannot.
    """
    return HUB_NAME.fullmatch(str(name)) is not None and not Path(name).parent.exists()


def check_spelled_name(name: str | Path) -> None:
    """Raise MissingModelError for a missing folder whose path could be taken for a hub's name.

    A path keeps neither the `./` before a name nor the `/` behind it, which tell it.
    """
    if is_hub_name(Path(name)):
        check_model_name(name)


def check_model_name(name: str | Path) -> None:
    """Raise MissingModelError for a folder that there is not, unless the hub may have the name."""
    if not os.path.lexists(name) and not is_hub_name(name):
        hint = likely_model(name) or _REMEDY
        raise MissingModelError(f"there is no folder {name}; {hint}")


def likely_model(name: str | Path) -> str:
    """Return a hint at the models that a missing one may mean; "" if there are none."""
    path, search = Path(name), FolderSearch(entries=2000, seconds=0.3)
    if near := _likely_paths(path, search):
        return f"did you mean {either(near)}?"
    if str(path) == path.name and (cached := _likely_cached(path.name, search)):
        return f"did you mean {either(cached)}?"
    if not path.parent.exists():
        return ""
    there = [
        str(path.parent / each.name)
        for each in search.subfolders(path.parent)
        if not each.name.startswith(".") and search.holds_model(each, 0)
    ]
    if not there:
        return ""
    more = f" and {len(there) - _SHOWN:,} more" if len(there) > _SHOWN else ""
    return f"there are {', '.join(there[:_SHOWN])}{more}"


def _likely_paths(path: Path, search: FolderSearch) -> list[str]:
    """Return the models whose path is as this one, but for slips in the names of its folders."""
    paths = [Path(path.anchor)]
    for part in path.parts[1:] if path.anchor else path.parts:
        known = [base / part for base in paths if (base / part).is_dir()]
        paths = known or [
            base / name
            for base in paths
            for name in likely_names(part, [each.name for each in search.subfolders(base)])
        ]
    return [str(each) for each in paths if search.holds_model(each, 0)]


def _likely_cached(name: str, search: FolderSearch) -> list[str]:
    """Return the hub's models in its cache that are named so, without their owner."""
    return [each for each in cached_names(search) if each.rpartition("/")[2] == name][:_SHOWN]
