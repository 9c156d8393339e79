"""Settings of noise for pre-training, as sections of recipes. Imports no torch."""

from typing import Annotated

import msgspec
from msgspec import Meta

from .bounds import check_bounds, doc
from .errors import ConfigError, UnknownNameError
from .registry import suggest

Share = Annotated[float, Meta(ge=0, le=1)]

_MASKING = ("token_masking", "text_infilling")
_TAKING = ("token_masking", "token_deletion", "text_infilling")
NOISE_NAMES = ("sentence_permutation", *_TAKING, "document_rotation")  # in their order


class MaskingOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The share of the tokens that are predicted, and what becomes of them in the input."""

    probability: Annotated[float, Meta(gt=0, le=1), doc("share of the tokens to predict")] = 0.15
    masked: Annotated[Share, doc("share of those that the mask replaces")] = 0.8
    random: Annotated[Share, doc("share of those that a random token replaces")] = 0.1
    kept: Annotated[Share, doc("share of those that stay as they are")] = 0.1
    whole_words: Annotated[bool, doc("choose all pieces of a word, or none")] = False

    def __post_init__(self) -> None:
        check_bounds(self)
        if abs(self.masked + self.random + self.kept - 1) > 1e-6:
            raise ConfigError(
                f"masked {self.masked}, random {self.random} and kept {self.kept} are shares of "
                "the predicted tokens; they must add up to 1"
            )


class SpanOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The share of the tokens that are noise, and how they are cut into spans."""

    density: Annotated[float, Meta(gt=0, lt=1), doc("share of the tokens that are noise")] = 0.15
    mean_span: Annotated[float, Meta(ge=1), doc("mean number of tokens in a span of noise")] = 3.0
    closing_sentinel: Annotated[
        bool, doc("end each target with one more sentinel, as in T5's paper but not in its code")
    ] = True

    def __post_init__(self) -> None:
        check_bounds(self)


class DenoisingOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The noises and their strengths; BART's without anything said."""

    noises: Annotated[tuple[str, ...], doc(f"of {', '.join(NOISE_NAMES)}, done in this order")] = (
        "sentence_permutation",
        "text_infilling",
    )
    share: Annotated[Share, doc("share of the words that are masked, deleted or infilled")] = 0.3
    mean_span: Annotated[
        float, Meta(ge=1), doc("mean number of words in a span that one mask infills (Poisson's λ)")
    ] = 3.0
    random: Annotated[Share, doc("share of the masks that are a random token instead")] = 0.0
    sentence_share: Annotated[Share, doc("share of the sentences that change places")] = 1.0
    rotated: Annotated[Share, doc("share of the texts that are rotated")] = 1.0
    whole_words: Annotated[bool, doc("take all pieces of a word, or none")] = False

    @property
    def writes_masks(self) -> bool:
        """True if a mask stands for some of a text."""
        return any(name in _MASKING for name in self.noises)

    def __post_init__(self) -> None:
        check_bounds(self)
        for name in self.noises:
            if name not in NOISE_NAMES:
                raise UnknownNameError(f"no noise is called {name!r}; {suggest(name, NOISE_NAMES)}")
        taking = [name for name in self.noises if name in _TAKING]
        if len(taking) > 1:
            raise ConfigError(
                f"{' and '.join(taking)} each take a share of the words; ask for one of them"
            )
