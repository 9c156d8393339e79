"""Names of a model's labels, from its config.json."""

from pathlib import Path
from typing import Any

from ..config import TransformerConfig
from ..families import LABEL_NAMES, MODEL_TYPE, ConfigReader
from ..families.label_options import (
    check_label_names,
    default_label_names,
    published_label_names,
)
from .model_folder import CONFIG


def read_label_names(
    folder: Path, config: TransformerConfig, options: dict[str, Any]
) -> tuple[str, ...]:
    """Return the names of a network's labels in the order of their ids; () if it has no labels.

    `options` are those of its config.json: a published model's `id2label`, or our list
    `label_names`. Without either, the names are transformers': LABEL_0 and so on. Raises
    CheckpointError for names that are damaged, or not as many as the network has labels.
    """
    if not config.labels:
        return ()
    reader = ConfigReader(options, str(folder / CONFIG))
    if options.get("model_type") == MODEL_TYPE:
        key, listed = LABEL_NAMES, reader.get(LABEL_NAMES, list)
        if listed is None:
            return default_label_names(config.labels)
        names = check_label_names(reader, key, listed)
    else:
        key, names = "id2label", published_label_names(reader)
    if len(names) != config.labels:
        raise reader.error(f"{key} has {len(names)} names; the network has {config.labels} labels")
    return names
