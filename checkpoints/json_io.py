"""JSON files, read with a limit of their size and written in one style."""

import json
import math
from pathlib import Path
from typing import Any

from .errors import CheckpointError
from .links import refuse_external_links

MAX_JSON_BYTES = 6 << 20  # nested lists take 40 times as much memory


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
    refuse_external_links(path.parent, [path.name])
    if path.exists() and not path.is_file():
        raise CheckpointError(f"{path} is no file")
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise CheckpointError(
                f"{path} is larger than {MAX_JSON_BYTES >> 20} MiB, the limit of JSON files"
            )
        text = path.read_text(encoding="utf-8")
        return json.loads(text, parse_constant=_parse_finite, parse_float=_parse_finite)
    except CheckpointError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from None


def to_json(value: Any) -> str:
    """Return a value as the JSON text of our files."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _parse_finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"it holds the number {text[:20]}")
    return number
