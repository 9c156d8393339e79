"""LayerSpec: fields that a layer may have of its own, as data. Imports no torch."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .bounds import check_bounds, doc
from .errors import ConfigError

LIMIT = Meta(le=10**12)  # of every number of a network
Number = Annotated[float, Meta(ge=-(10**12), le=10**12)]
Positive = Annotated[float, Meta(gt=0), LIMIT]
Size = Annotated[int, Meta(ge=1), LIMIT]
Count = Annotated[int, Meta(ge=0), LIMIT]
Rate = Annotated[float, Meta(ge=0, lt=1)]


class RotaryScaling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Scaling of rotary frequencies beyond the trained context.

    `linear` divides every position by `factor` (arXiv 2306.15595). `llama3` divides only the
    slow frequencies, with a ramp between the two wavelengths `original_context / low` and
    `original_context / high` (Llama 3.1). `longrope` divides each frequency by its own of
    `short_factors`, or of `long_factors` in texts longer than `original_context` (arXiv
    2402.13753), and multiplies queries and keys by `attention_factor`; unset, that is
    √(1 + ln factor / ln original_context).
    """

    kind: str = "linear"
    factor: Positive = 1.0
    low: Number = 1.0
    high: Number = 4.0
    original_context: Size = 8192
    short_factors: tuple[Positive, ...] = ()
    long_factors: tuple[Positive, ...] = ()
    attention_factor: Positive | None = None

    def __post_init__(self) -> None:
        check_bounds(self)
        if self.kind == "llama3" and self.high <= self.low:
            raise ConfigError(f"rotary_scaling's high is {self.high}, not above low, {self.low}")


KINDS_OF_ATTENTION = doc(
    "full, sliding, longformer, strided, fixed, linear, linear-decay, performer or ssru"
)


class LayerSpec(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Fields of one layer; what is unset is as the network's field of that name."""

    attention: Annotated[str | None, KINDS_OF_ATTENTION] = None
    window: Annotated[Size | None, doc("of sliding and longformer attention")] = None
    global_tokens: Annotated[Count | None, doc("of sliding attention")] = None
    stride: Annotated[Size | None, doc("of strided and fixed attention")] = None
    summary_tokens: Annotated[Size | None, doc("of fixed attention")] = None
    positions: Annotated[
        Literal["none", "rotary", "alibi"] | None, doc("of attention: none, rotary or alibi")
    ] = None
    rotary_base: Annotated[
        Annotated[float, Meta(gt=1), LIMIT] | None, doc("of rotary positions")
    ] = None
    rotary_scaling: Annotated[RotaryScaling | None, doc("of rotary positions")] = None

    def __post_init__(self) -> None:
        check_bounds(self)
