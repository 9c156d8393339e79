"""Our own format: its configuration is ours already, and so are its tensors' names."""

from collections.abc import Iterable, Mapping

from .config_reader import ConfigReader, Fields, Names
from .family import Family
from .name_map import NameMap, Source

MODEL_TYPE, FORMAT_VERSION = "transduce", 1


class _Same(NameMap):
    """Every tensor under its own name."""

    def sources(self, names: Iterable[str], present: Mapping[str, object]) -> dict[str, Source]:
        """See NameMap."""
        del present
        return {name: Source((name,)) for name in names}


def _read(reader: ConfigReader, weights: Names) -> Fields:
    del weights
    fields = reader.everything()
    version = fields.pop("format_version", 0)
    if version != FORMAT_VERSION:
        raise reader.error(f"format version {version!r}; this program reads {FORMAT_VERSION}")
    del fields["model_type"]
    return fields


def _write(fields: Fields) -> Fields:
    return {"format_version": FORMAT_VERSION, **fields}


NATIVE = Family(read=_read, write=_write, names=lambda _fields: _Same(""))
