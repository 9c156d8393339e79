"""SentencePiece models as `tokenizers` objects that split texts into the same pieces."""

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
from .guard import split_inside_names
from .longest_match import longest_of
from .sentencepiece_model import Algorithm, PieceType, SentencePiece, SentencePieceModel

SPACE = "▁"
_TEXT_PIECES = {PieceType.NORMAL, PieceType.USER_DEFINED}
_SPECIAL_PIECES = {PieceType.CONTROL, PieceType.UNKNOWN, PieceType.BYTE}  # never come from a text
_LANGUAGE_CODE = r">>(?m:.*?)<<"  # Marian's target language


@dataclass(frozen=True, kw_only=True)
class SentencePieceLayout:
    """The pieces of a tokenizer, in the order of their ids, and the model that splits texts.

    A piece of kind UNUSED has an id and never comes from a text; it is stored with a space before
    it, which no normalized text contains. Pieces that are `out_of_vocabulary` come from texts and
    have no id: they get ids above all others, which `Tokenizer` maps to the unknown token's.
    """

    name: str  # of the file, for messages
    model: SentencePieceModel
    pieces: Sequence[SentencePiece]
    out_of_vocabulary: Sequence[SentencePiece] = ()
    by_name: bool = False  # runs of unknown characters that are an unused piece get its id
    language_codes: Sequence[str] | None = None  # pieces at the start of a text only
    prefix: bool = True  # False: no space before the first word, even if the model has one
    prefix_once: bool = False  # no space before a word that follows an added token

    @property
    def stored(self) -> list[SentencePiece]:
        """All pieces, as the library stores them."""
        unlearnt = (
            [SentencePiece(OUT_OF_VOCABULARY, kind=PieceType.CONTROL), *self.out_of_vocabulary]
            if self.out_of_vocabulary
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
        """The characters that the model knows, escaped for brackets of a regular expression."""
        known = (p.text for p in self.model.pieces if p.kind in _TEXT_PIECES and len(p.text) == 1)
        return re.escape("".join(known)) or "\\0"

    @cached_property
    def symbols(self) -> frozenset[str]:
        """The pieces that the model's user defined: they are found before all others."""
        codes = set(self.language_codes or ())
        pieces = (p.text for p in self.model.pieces if p.kind is PieceType.USER_DEFINED)
        return frozenset(pieces) - codes

    @cached_property
    def alphabet(self) -> frozenset[str]:
        """The characters of all pieces."""
        return frozenset().union(*(p.text for p in (*self.pieces, *self.model.pieces)))

    @cached_property
    def unknown_runs(self) -> list[str]:
        """Unused pieces that consist of unknown characters, longest first."""
        if not self.by_name or self.model.byte_fallback:
            return []
        whole = re.compile(f"[^{self.characters}]+").fullmatch
        runs = (p.text for p in self.pieces if p.kind is PieceType.UNUSED and whole(p.text))
        return sorted(runs, key=len, reverse=True)

    @property
    def has_prefix(self) -> bool:
        """True if a space is put before texts."""
        return self.prefix and self.model.add_dummy_prefix


def build(layout: SentencePieceLayout) -> tokenizers.Tokenizer:
    """Build the tokenizer of a layout, with its special tokens and without affixes."""
    if layout.model.algorithm not in ALGORITHMS:
        kind = layout.model.algorithm.name.lower()
        raise TokenizerError(
            f"{layout.name} is a SentencePiece model of kind {kind}; "
            f"supported: {', '.join(kind.name.lower() for kind in ALGORITHMS)}"
        )
    stored = layout.stored
    if len({piece.text for piece in stored}) < len(stored):
        repeated = Counter(piece.text for piece in stored).most_common(1)[0][0]
        raise TokenizerError(f"{layout.name}: the token {repeated!r} would have two ids")
    if not layout.model.escape_whitespaces and any(p.kind is PieceType.UNUSED for p in stored):
        raise TokenizerError(
            f"{layout.name} has unused pieces and keeps spaces as they are, which is not supported"
        )
    backend = ALGORITHMS[layout.model.algorithm](layout, stored)
    backend.normalizer = _normalizer(layout)
    backend.decoder = _decoder(layout, stored)
    names = [p.text for p in layout.pieces if p.kind in {PieceType.CONTROL, PieceType.UNKNOWN}]
    backend.add_special_tokens([tokenizers.AddedToken(n, normalized=False) for n in names])
    return backend


def _unigram(layout: SentencePieceLayout, stored: Sequence[SentencePiece]) -> tokenizers.Tokenizer:
    ordinary = [piece.score for piece in stored if piece.kind is PieceType.NORMAL]
    top = max(ordinary, default=0.0)

    def score(piece: SentencePiece) -> float:
        if piece.kind is PieceType.USER_DEFINED:  # SentencePiece's rule; the length is in bytes
            return 0.1 * len(piece.text.encode()) - 0.1
        return piece.score if piece.kind is PieceType.NORMAL else top

    codes = set(layout.language_codes or ())
    entries = [(p.text, 0.0 if p.text in codes else score(p)) for p in stored]
    backend = tokenizers.Tokenizer(
        models.Unigram(entries, layout.unknown, layout.model.byte_fallback)
    )
    backend.pre_tokenizer = pre_tokenizers.Sequence([*_splits(layout, stored)])
    return backend


def _bpe(layout: SentencePieceLayout, stored: Sequence[SentencePiece]) -> tokenizers.Tokenizer:
    # Language codes, unknown runs and what users defined are pieces that no merge produces.
    codes, symbols = set(layout.language_codes or ()), layout.symbols
    ignore_merges = layout.language_codes is not None or bool(layout.unknown_runs or symbols)
    model = models.BPE(
        {piece.text: i for i, piece in enumerate(stored)},
        merges(stored),
        unk_token=stored[layout.unknown].text,
        fuse_unk=True,
        byte_fallback=layout.model.byte_fallback,
    )
    backend = tokenizers.Tokenizer(model)
    steps: list[pre_tokenizers.PreTokenizer] = []
    if layout.prefix_once:  # also none before a text that starts with a space
        steps.append(pre_tokenizers.Metaspace(prepend_scheme="first", split=False))
    if ignore_merges:
        steps += _splits(layout, stored)
        if symbols:
            steps += [pre_tokenizers.Split(Regex(longest_of(symbols)), "isolated")]
        steps += _splits_of_unreachable(backend, stored)
        backend.model.ignore_merges = True
    backend.pre_tokenizer = pre_tokenizers.Sequence(steps)
    user_defined = [
        p.text
        for p in stored
        if p.kind is PieceType.USER_DEFINED and p.text not in codes and p.text not in symbols
    ]
    backend.add_tokens([tokenizers.AddedToken(text, normalized=False) for text in user_defined])
    return backend


def _splits_of_unreachable(
    backend: tokenizers.Tokenizer, stored: Sequence[SentencePiece]
) -> Iterator[pre_tokenizers.PreTokenizer]:
    """Yield a split of words that are a piece which merges, left to themselves, do not produce."""
    texts = [piece.text for piece in stored if piece.kind is PieceType.NORMAL]
    patterns = []
    for text, encoding in zip(texts, backend.encode_batch(texts), strict=True):
        if len(encoding.ids) > 1:
            end = encoding.offsets[0][1]
            patterns.append(rf"{re.escape(text[:end])}(?={re.escape(text[end:])}\z)")
    if patterns:
        yield pre_tokenizers.Split(Regex(rf"\A(?:{'|'.join(patterns)})"), "merged_with_previous")


ALGORITHMS: dict[
    Algorithm, Callable[[SentencePieceLayout, Sequence[SentencePiece]], tokenizers.Tokenizer]
] = {
    Algorithm.UNIGRAM: _unigram,
    Algorithm.BPE: _bpe,
}


def merges(pieces: Iterable[SentencePiece]) -> list[tuple[str, str]]:
    """Return all pairs of pieces that make a piece, best score first.

    SentencePiece merges any two neighbours that together are a piece, in this order.
    """
    scores = {piece.text: piece.score for piece in pieces if piece.kind is PieceType.NORMAL}
    ranked = [
        (-score, index, text[:index], text[index:])
        for text, score in scores.items()
        for index in range(1, len(text))
        if text[:index] in scores and text[index:] in scores
    ]
    ranked.sort(key=lambda pair: pair[:2])
    return [(left, right) for _, _, left, right in ranked]


def _normalizer(layout: SentencePieceLayout) -> normalizers.Normalizer:
    model = layout.model
    space = SPACE if model.escape_whitespaces else " "
    prefix = space if layout.has_prefix and not layout.prefix_once else ""
    start = r"\A" if layout.language_codes is None else rf"\A(?:{_LANGUAGE_CODE})?+\K"
    steps: list[normalizers.Normalizer] = []
    prepended = prefix and not model.remove_extra_whitespaces and layout.language_codes is None
    if prepended:  # even where the table leaves nothing of the text
        steps.append(normalizers.Prepend(prefix))
    steps += charsmap_steps(
        model.charsmap,
        name=layout.name,
        kept=sorted(layout.symbols),
        known=None if model.byte_fallback else layout.alphabet,
    )
    if model.remove_extra_whitespaces:
        steps.append(normalizers.Replace(Regex(" {2,}"), " "))
        steps.append(normalizers.Replace(Regex(f"{start} ?"), prefix))
    elif prefix and not prepended:
        steps.append(normalizers.Replace(Regex(rf"{start}(?=[\s\S])"), prefix))
    if model.escape_whitespaces:
        steps.append(normalizers.Replace(" ", SPACE))
    if model.remove_extra_whitespaces:  # also a ▁ of the text, and the prefix of an empty text
        steps.append(normalizers.Replace(Regex(rf"(?<!{space}){space}+\z"), ""))
    steps += _unknown_run_steps(layout)
    if layout.language_codes is not None:
        # A code that the vocabulary lacks becomes a space, which alone is no piece: unknown.
        known = "".join(f"(?!{re.escape(code)})" for code in layout.language_codes)
        steps.append(normalizers.Replace(Regex(rf"\A{known}{_LANGUAGE_CODE}"), " "))
    return normalizers.Sequence(steps)


def _unknown_run_steps(layout: SentencePieceLayout) -> list[normalizers.Normalizer]:
    """Return steps that put a space before every unknown run, as these pieces are stored."""
    if not layout.unknown_runs:
        return []
    run, known = "|".join(map(re.escape, layout.unknown_runs)), layout.characters
    alone = f"(?<![^{known}])(?=[^{known}])(?=(?:{run})(?![^{known}]))"
    if layout.language_codes is None:
        return [normalizers.Replace(Regex(alone), " ")]
    return [  # not inside a code: a match skips it, and the space after it is removed again
        normalizers.Replace(Regex(rf"\A{_LANGUAGE_CODE}\K|{alone}"), " "),
        normalizers.Replace(Regex(rf"\A{_LANGUAGE_CODE}\K "), ""),
    ]


def _splits(
    layout: SentencePieceLayout, stored: Sequence[SentencePiece]
) -> Iterator[pre_tokenizers.PreTokenizer]:
    """Yield splits around fixed tokens, and inside the names of special tokens."""
    codes = set(layout.language_codes or ())
    if layout.language_codes is not None:
        code = Regex(rf"\A(?:{_LANGUAGE_CODE}| (?={SPACE}|\z))")
        yield pre_tokenizers.Split(code, "isolated")
    name_splitter = split_inside_names(
        (p.text for p in stored if p.kind in _SPECIAL_PIECES and p.text not in codes),
        (p.text for p in stored if p.kind in _TEXT_PIECES and p.text not in codes),
        at_start=codes,
    )
    if name_splitter is not None:
        yield name_splitter
    if layout.unknown_runs:
        yield pre_tokenizers.Split(Regex(f" [^{layout.characters}]+"), "isolated")


def _decoder(layout: SentencePieceLayout, stored: Sequence[SentencePiece]) -> decoders.Decoder:
    steps: list[decoders.Decoder] = []
    if any(piece.kind is PieceType.UNUSED for piece in stored):
        steps.append(decoders.Replace(" ", ""))
    steps.append(decoders.Replace(SPACE, " "))
    if any(piece.kind is PieceType.BYTE for piece in stored):
        steps.append(decoders.ByteFallback())
    steps.append(decoders.Fuse())
    if layout.has_prefix or layout.model.remove_extra_whitespaces:
        steps.append(decoders.Strip(" ", 1, 0))  # only one: streams also start inside a text
    if layout.by_name:
        steps.append(decoders.Replace(Regex(r"(?<! ) +\z"), ""))
    return decoders.Sequence(steps)
