"""SentencePiece models whose ids are in a separate file: M2M100's, and Marian's pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import tokenizers

from ..errors import TokenizerError
from . import languages
from .added import TokenToAdd, collect_added_tokens, set_language_affix, set_special_affixes
from .families import assemble, control_pieces, load_sentencepiece
from .files import CONFIG, Folder, TokenizerConfig, token_name
from .from_sentencepiece import SentencePieceLayout
from .sentencepiece_model import PieceType, SentencePiece

MARIAN = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
M2M100 = {**MARIAN, "bos_token": "<s>", "sep_token": "</s>"}
_ORDINARY = {PieceType.NORMAL, PieceType.USER_DEFINED, PieceType.BYTE}


def read_m2m100(folder: Folder, settings: TokenizerConfig) -> tokenizers.Tokenizer:
    """Read M2M100's tokenizer: ids from vocab.json, then languages; the language before a text."""
    kind = settings.language_codes or "m2m100"
    if kind not in languages.M2M100:
        raise TokenizerError(
            f"{folder.path / CONFIG}: no language_codes are called {kind!r}; allowed: "
            f"{', '.join(languages.M2M100)}"
        )
    codes = control_pieces(f"__{code}__" for code in languages.M2M100[kind])
    added = collect_added_tokens(folder, settings, M2M100)
    unknown = token_name(settings, M2M100, "unk_token")
    layout = _layout(folder, "sentencepiece.bpe.model", "vocab.json", unknown, added)
    backend = assemble(replace(layout, pieces=[*layout.pieces, *codes]), added, folder)
    set_language_affix(backend, settings, "M2M100Tokenizer")
    return backend


def read_marian(folder: Folder, settings: TokenizerConfig) -> Sequence[tokenizers.Tokenizer]:
    """Read Marian's two tokenizers, of source and target texts; </s> after a text."""
    target = "target_vocab.json" if settings.separate_vocabs else "vocab.json"
    return [
        _read_marian_side(folder, settings, "source.spm", "vocab.json"),
        _read_marian_side(folder, settings, "target.spm", target),
    ]


def _read_marian_side(
    folder: Folder, settings: TokenizerConfig, file: str, vocabulary: str
) -> tokenizers.Tokenizer:
    added = collect_added_tokens(folder, settings, MARIAN)
    unknown = token_name(settings, MARIAN, "unk_token")
    layout = _layout(folder, file, vocabulary, unknown, added)
    codes = [p.text for p in layout.pieces if p.text.startswith(">>") and p.text.endswith("<<")]
    pieces = [
        SentencePiece(p.text, kind=PieceType.USER_DEFINED) if p.text in codes else p
        for p in layout.pieces
    ]
    backend = assemble(replace(layout, pieces=pieces, language_codes=codes), added, folder)
    set_special_affixes(backend, [], [token_name(settings, MARIAN, "eos_token")])
    return backend


def _layout(
    folder: Folder, file: str, vocabulary: str, unknown: str, added: Sequence[TokenToAdd]
) -> SentencePieceLayout:
    """Return the layout of a model whose pieces have the ids of another file."""
    model = load_sentencepiece(folder, file)
    ids = folder.vocabulary(vocabulary)
    if unknown not in ids:
        raise TokenizerError(f"{folder.path / vocabulary} has no {unknown!r}, the unknown token")
    model_pieces = {piece.text: piece for piece in model.pieces if piece.kind in _ORDINARY}
    special = {token.content for token, _ in added}
    return SentencePieceLayout(
        name=str(folder.path / file),
        model=model,
        pieces=[
            SentencePiece(text, kind=PieceType.UNKNOWN)
            if text == unknown
            else _piece_of(text, model_pieces, special)
            for text in sorted(ids, key=ids.__getitem__)
        ],
        by_name=True,
        out_of_vocabulary=[piece for text, piece in model_pieces.items() if text not in ids],
    )


def _piece_of(
    text: str, model_pieces: Mapping[str, SentencePiece], special: set[str]
) -> SentencePiece:
    if text in special:
        return SentencePiece(text, kind=PieceType.CONTROL)
    return model_pieces.get(text, SentencePiece(text, kind=PieceType.UNUSED))
