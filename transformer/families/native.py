"""The native format: its options are our fields, and its tensors have our names."""

from collections.abc import Iterable, Mapping
from typing import Any

from checkpoints import Weights

from ..config import TransformerConfig
from ..config_fields import config_from_fields, config_to_fields
from .config_reader import ConfigReader, TensorNames
from .family import Family
from .name_map import NameMap, TensorSource

MODEL_TYPE, FORMAT_VERSION = "transduce", 1
SOURCE_AFFIXES = "source_affixes"  # ids before and after a source; default: the end token after it
LABEL_NAMES = "label_names"  # in the order of their ids


class _IdentityMap(NameMap):
    """The name map of tensors that have our names already."""

    def sources(
        self, names: Iterable[str], present: Mapping[str, object]
    ) -> dict[str, TensorSource]:
        """Return each tensor as its own source."""
        del present
        return {name: TensorSource((name,)) for name in names}

    def unmapped(self, names: Iterable[str]) -> list[str]:
        """Return no tensor."""
        del names
        return []


class _NativeFamily(Family):
    """Our own family, which wrote the names that it reads."""

    def rename(self, weights: Weights) -> Weights:
        """Return the weights under their own names, those in int8 with their scales."""
        return weights.with_scales()


def _read(reader: ConfigReader, names: TensorNames) -> TransformerConfig:
    del names
    fields = reader.to_dict()
    version = fields.pop("format_version", 0)
    if version != FORMAT_VERSION:
        raise reader.error(f"format version {version!r}; this program reads {FORMAT_VERSION}")
    del fields["model_type"]
    for name in (SOURCE_AFFIXES, LABEL_NAMES):  # of texts, not of the network
        fields.pop(name, None)
    return config_from_fields(fields)


def _write(config: TransformerConfig) -> dict[str, Any]:
    return {"format_version": FORMAT_VERSION, **config_to_fields(config)}


NATIVE = _NativeFamily(read=_read, write=_write, names=lambda _config: _IdentityMap(""))
