"""Settings of an adapter: a section of a recipe. Imports no torch."""

import math
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ..bounds import check_bounds, doc
from ..errors import ConfigError

ALL_LINEAR = "all-linear"
NO_ADAPTER = "none"

Rank = Annotated[int, Meta(ge=1)]
Layer = Annotated[int, Meta(ge=0)]


class AdapterSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the parameters that are trained beside a frozen model, with --init."""

    kind: Annotated[str, doc("none, or lora: low-rank updates of a model that stays as it is")] = (
        NO_ADAPTER
    )
    rank: Annotated[Rank, doc("of each update; its numbers grow with it")] = 8
    alpha: Annotated[float, Meta(gt=0), doc("updates are multiplied by alpha / rank")] = 16.0
    dropout: Annotated[float, Meta(ge=0, lt=1), doc("of what the updates are given")] = 0.0
    rslora: Annotated[bool, doc("multiply by alpha / √rank instead (rsLoRA)")] = False
    target_modules: Annotated[
        str | list[str],
        doc(
            'linear maps by published or our names: ["q_proj", "v_proj"]; a text is a pattern (re)'
        ),
    ] = ALL_LINEAR
    layers: Annotated[list[Layer], doc("numbers of the layers to adapt; empty: all")] = []
    modules_to_save: Annotated[
        list[str], doc("modules that are trained and kept whole, such as a classifier's head")
    ] = []

    def __post_init__(self) -> None:
        """Raise ConfigError for settings of an adapter that is not trained."""
        check_bounds(self)
        names = (name for name in self.__struct_fields__ if name != "kind")
        defaults = {field.name: field for field in msgspec.structs.fields(type(self))}
        if self.kind == NO_ADAPTER:
            for name in names:
                if getattr(self, name) != _default(defaults[name]):
                    raise ConfigError(
                        f"adapter.{name} is set, but no adapter is trained: --lora, or "
                        'adapter.kind = "lora"'
                    )

    @property
    def scale(self) -> float:
        """The factor of each update."""
        return scale_of(self.rank, self.alpha, rslora=self.rslora)


def _default(field: msgspec.structs.FieldInfo) -> Any:
    made = field.default_factory is not msgspec.NODEFAULT
    return field.default_factory() if made else field.default


def scale_of(rank: int, alpha: float, *, rslora: bool) -> float:
    """Return the factor of an update; `rslora`: rank-stabilized, arXiv 2312.03732.

    >>> scale_of(4, 16.0, rslora=False), scale_of(4, 16.0, rslora=True)
    (4.0, 8.0)
    """
    return alpha / (math.sqrt(rank) if rslora else rank)
