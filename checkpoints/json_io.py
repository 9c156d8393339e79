"""JSON files, read with bounds and written in one form."""

import json
import math
from pathlib import Path
from typing import Any

from .errors import CheckpointError
from .links import refuse_links_out

MAX_JSON_BYTES = 6 << 20  # of lists in lists, which fill 40 times their length in memory


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises CheckpointError."""
    value = _parse_json(path)
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds no JSON object")
    return value


def read_json_list(path: Path) -> list[dict[str, Any]]:
    """Read a JSON array of objects. Raises CheckpointError."""
    value = _parse_json(path)
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise CheckpointError(f"{path} holds no list of JSON objects")
    return value


def _parse_json(path: Path) -> Any:
    refuse_links_out(path.parent, [path.name])
    if path.exists() and not path.is_file():
        raise CheckpointError(f"{path} is no file")
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise CheckpointError(
                f"{path} is larger than {MAX_JSON_BYTES >> 20} MiB, the most that is read of it"
            )
        text = path.read_text(encoding="utf-8")
        return json.loads(text, parse_constant=_finite, parse_float=_finite)
    except CheckpointError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from None


def to_json(value: Any) -> str:
    """JSON as our files hold it."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"it holds the number {text[:20]}")
    return number
