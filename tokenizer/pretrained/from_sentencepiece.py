"""SentencePiece models as `tokenizers` objects that cut texts into the same pieces."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers

from ..errors import TokenizerError
from ..special import OUT_OF_VOCABULARY
from .charsmap import charsmap_steps
from .guard import refuse_panics
from .sentencepiece_model import Algorithm, PieceType, SentencePiece, SentencePieceModel

SPACE = "▁"
_FOUND = {PieceType.NORMAL, PieceType.USER_DEFINED}
_NAMES = {PieceType.CONTROL, PieceType.UNKNOWN, PieceType.BYTE}  # never found in a text
_CODE = r">>(?m:.*?)<<"  # Marian's: which language to translate into


@dataclass(frozen=True, kw_only=True)
class SentencePieceLayout:
    """A vocabulary to be, in the order of its ids, and the model that cuts texts into it.

    A piece of kind UNUSED has an id and never comes from a text; it is kept with a space before it,
    which no normalized text contains. `unlearnt` are pieces that texts are cut into and that have
    no id: their ids are put above all others, and `Tokenizer` gives the unknown id for them.
    """

    name: str  # of the file, for messages
    model: SentencePieceModel
    pieces: Sequence[SentencePiece]
    unlearnt: Sequence[SentencePiece] = ()
    by_name: bool = False  # runs of unknown characters that are a piece of another kind get its id
    codes: Sequence[str] | None = None  # pieces found at the start of a text; None: never
    prefix: bool = True  # False: no space before the first word, whatever the model says
    prefix_once: bool = False  # no space before a word that follows an added token

    @property
    def stored(self) -> list[SentencePiece]:
        """All pieces, as the library is to keep them."""
        unlearnt = (
            [SentencePiece(OUT_OF_VOCABULARY, kind=PieceType.CONTROL), *self.unlearnt]
            if self.unlearnt
            else []
        )
        return [
            piece._replace(text=f" {piece.text}") if piece.kind is PieceType.UNUSED else piece
            for piece in (*self.pieces, *unlearnt)
        ]

    @property
    def unknown(self) -> int:
        """The id of the unknown token."""
        return next(i for i, piece in enumerate(self.pieces) if piece.kind is PieceType.UNKNOWN)

    @cached_property
    def characters(self) -> str:
        """Those that the model knows, as they stand in the brackets of a regular expression."""
        known = (p.text for p in self.model.pieces if p.kind in _FOUND and len(p.text) == 1)
        return re.escape("".join(known)) or "\\0"

    @cached_property
    def surfaces(self) -> list[str]:
        """Pieces that the model has not, and that it makes one unknown token of, longest first."""
        if not self.by_name or self.model.byte_fallback:
            return []
        whole = re.compile(f"[^{self.characters}]+").fullmatch
        found = (p.text for p in self.pieces if p.kind is PieceType.UNUSED and whole(p.text))
        return sorted(found, key=len, reverse=True)

    @property
    def has_prefix(self) -> bool:
        """Whether texts begin with a space that they do not have."""
        return self.prefix and self.model.add_dummy_prefix


def build(plan: SentencePieceLayout) -> tokenizers.Tokenizer:
    """The plan as an object of the library, with its names as special tokens, without a frame."""
    if plan.model.algorithm not in ALGORITHMS:
        raise TokenizerError(
            f"{plan.name} is a SentencePiece model of kind {plan.model.algorithm.name.lower()}; "
            f"supported: {', '.join(kind.name.lower() for kind in ALGORITHMS)}"
        )
    stored = plan.stored
    if len({piece.text for piece in stored}) < len(stored):
        twice = Counter(piece.text for piece in stored).most_common(1)[0][0]
        raise TokenizerError(f"{plan.name}: the token {twice!r} would have two ids")
    if not plan.model.escape_whitespaces and any(p.kind is PieceType.UNUSED for p in stored):
        raise TokenizerError(
            f"{plan.name} has unused pieces and keeps spaces as they are, which is not supported"
        )
    backend = ALGORITHMS[plan.model.algorithm](plan, stored)
    backend.normalizer = _normalizer(plan)
    backend.decoder = _decoder(plan, stored)
    names = [p.text for p in plan.pieces if p.kind in {PieceType.CONTROL, PieceType.UNKNOWN}]
    backend.add_special_tokens([tokenizers.AddedToken(n, normalized=False) for n in names])
    return backend


def _unigram(plan: SentencePieceLayout, stored: Sequence[SentencePiece]) -> tokenizers.Tokenizer:
    ordinary = [piece.score for piece in stored if piece.kind is PieceType.NORMAL]
    top = max(ordinary, default=0.0)

    def score(piece: SentencePiece) -> float:
        if piece.kind is PieceType.USER_DEFINED:  # SentencePiece's rule, with the length in bytes
            return len(piece.text.encode()) * top - 0.1
        return piece.score if piece.kind is PieceType.NORMAL else top

    codes = set(plan.codes or ())
    entries = [(p.text, 0.0 if p.text in codes else score(p)) for p in stored]
    backend = tokenizers.Tokenizer(models.Unigram(entries, plan.unknown, plan.model.byte_fallback))
    backend.pre_tokenizer = pre_tokenizers.Sequence([*_splits(plan, stored)])
    return backend


def _bpe(plan: SentencePieceLayout, stored: Sequence[SentencePiece]) -> tokenizers.Tokenizer:
    whole = plan.codes is not None or bool(plan.surfaces)  # pieces that no merge makes
    model = models.BPE(
        {piece.text: i for i, piece in enumerate(stored)},
        merges(stored),
        unk_token=stored[plan.unknown].text,
        fuse_unk=True,
        byte_fallback=plan.model.byte_fallback,
        ignore_merges=whole,
    )
    backend = tokenizers.Tokenizer(model)
    if whole:
        backend.pre_tokenizer = pre_tokenizers.Sequence([*_splits(plan, stored)])
    codes = set(plan.codes or ())
    found = [p.text for p in stored if p.kind is PieceType.USER_DEFINED and p.text not in codes]
    backend.add_tokens([tokenizers.AddedToken(text, normalized=False) for text in found])
    if plan.prefix_once:  # but none, too, before a text that starts with a space
        backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    return backend


ALGORITHMS: dict[
    Algorithm, Callable[[SentencePieceLayout, Sequence[SentencePiece]], tokenizers.Tokenizer]
] = {
    Algorithm.UNIGRAM: _unigram,
    Algorithm.BPE: _bpe,
}


def merges(pieces: Iterable[SentencePiece]) -> list[tuple[str, str]]:
    """All pairs of pieces that make a piece, best score first.

    SentencePiece merges any two neighbours that together are a piece, the best-scored first.
    """
    scores = {piece.text: piece.score for piece in pieces if piece.kind is PieceType.NORMAL}
    ranked = [
        (-score, at, text[:at], text[at:])
        for text, score in scores.items()
        for at in range(1, len(text))
        if text[:at] in scores and text[at:] in scores
    ]
    ranked.sort(key=lambda pair: pair[:2])
    return [(left, right) for _, _, left, right in ranked]


def _normalizer(plan: SentencePieceLayout) -> normalizers.Normalizer:
    model = plan.model
    space = SPACE if model.escape_whitespaces else " "
    prefix = space if plan.has_prefix and not plan.prefix_once else ""
    start = r"\A" if plan.codes is None else rf"\A(?:{_CODE})?+\K"
    steps = charsmap_steps(model.charsmap, name=plan.name)
    if model.remove_extra_whitespaces:
        steps.append(normalizers.Replace(Regex(" {2,}"), " "))
        steps.append(normalizers.Replace(Regex(f"{start} ?"), prefix))
    elif prefix:
        steps.append(normalizers.Replace(Regex(rf"{start}(?=[\s\S])"), prefix))
    if model.escape_whitespaces:
        steps.append(normalizers.Replace(" ", SPACE))
    if model.remove_extra_whitespaces:  # a ▁ that was typed too, and the prefix of nothing
        steps.append(normalizers.Replace(Regex(rf"(?<!{space}){space}+\z"), ""))
    steps += _surface_steps(plan)
    if plan.codes is not None:  # a code that there is not is unknown, as a space alone is no piece
        known = "".join(f"(?!{re.escape(code)})" for code in plan.codes)
        steps.append(normalizers.Replace(Regex(rf"\A{known}{_CODE}"), " "))
    return normalizers.Sequence(steps)


def _surface_steps(plan: SentencePieceLayout) -> list[normalizers.Normalizer]:
    """A space before every surface: with it, they are the pieces as they are stored."""
    if not plan.surfaces:
        return []
    run, known = "|".join(map(re.escape, plan.surfaces)), plan.characters
    alone = f"(?<![^{known}])(?=[^{known}])(?=(?:{run})(?![^{known}]))"
    if plan.codes is None:
        return [normalizers.Replace(Regex(alone), " ")]
    return [  # not inside of a code: that is stepped over, and the space after it taken back
        normalizers.Replace(Regex(rf"\A{_CODE}\K|{alone}"), " "),
        normalizers.Replace(Regex(rf"\A{_CODE}\K "), ""),
    ]


def _splits(
    plan: SentencePieceLayout, stored: Sequence[SentencePiece]
) -> Iterator[pre_tokenizers.PreTokenizer]:
    """Splits around what is one token whatever stands beside it, and inside of what is none."""
    codes = set(plan.codes or ())
    if plan.codes is not None:
        code = Regex(rf"\A(?:{_CODE}| (?={SPACE}|\z))")
        yield pre_tokenizers.Split(code, "isolated")
    apart = refuse_panics(
        (p.text for p in stored if p.kind in _NAMES and p.text not in codes),
        (p.text for p in stored if p.kind in _FOUND and p.text not in codes),
        at_start=codes,
    )
    if apart is not None:
        yield apart
    if plan.surfaces:
        yield pre_tokenizers.Split(Regex(f" [^{plan.characters}]+"), "isolated")


def _decoder(plan: SentencePieceLayout, stored: Sequence[SentencePiece]) -> decoders.Decoder:
    steps: list[decoders.Decoder] = []
    if any(piece.kind is PieceType.UNUSED for piece in stored):
        steps.append(decoders.Replace(" ", ""))
    steps.append(decoders.Replace(SPACE, " "))
    if any(piece.kind is PieceType.BYTE for piece in stored):
        steps.append(decoders.ByteFallback())
    steps.append(decoders.Fuse())
    if plan.has_prefix or plan.model.remove_extra_whitespaces:
        steps.append(decoders.Strip(" ", 1, 0))  # not all: streams decode from the middle, too
    if plan.by_name:
        steps.append(decoders.Replace(Regex(r"(?<! ) +\z"), ""))
    return decoders.Sequence(steps)
