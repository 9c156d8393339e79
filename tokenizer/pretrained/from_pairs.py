"""SentencePiece models whose ids stand in a file of their own: M2M100's, and Marian's pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import tokenizers

from ..errors import TokenizerError
from . import languages
from .added import Wanted, set_frame, set_language_frame, wanted_tokens
from .families import assemble, load, names, token_name
from .files import CONFIG, Folder, Settings
from .from_sentencepiece import SentencePieceLayout
from .sentencepiece_model import PieceType, SentencePiece

MARIAN = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
M2M100 = {**MARIAN, "bos_token": "<s>", "sep_token": "</s>"}
_ORDINARY = {PieceType.NORMAL, PieceType.USER_DEFINED, PieceType.BYTE}


def read_m2m100(folder: Folder, settings: Settings) -> tokenizers.Tokenizer:
    """M2M100: ids from vocab.json, languages above them; the language before a text."""
    kind = settings.language_codes or "m2m100"
    if kind not in languages.M2M100:
        raise TokenizerError(
            f"{folder.path / CONFIG}: no language_codes are called {kind!r}; allowed: "
            f"{', '.join(languages.M2M100)}"
        )
    codes = names(f"__{code}__" for code in languages.M2M100[kind])
    wanted = wanted_tokens(folder, settings, M2M100)
    unknown = token_name(settings, M2M100, "unk_token")
    plan = _plan(folder, "sentencepiece.bpe.model", "vocab.json", unknown, wanted)
    backend = assemble(replace(plan, pieces=[*plan.pieces, *codes]), wanted, folder)
    set_language_frame(backend, settings, "M2M100Tokenizer")
    return backend


def read_marian(folder: Folder, settings: Settings) -> Sequence[tokenizers.Tokenizer]:
    """Marian: texts to be read and texts to be written are cut by two models; </s> after a text."""
    target = "target_vocab.json" if settings.separate_vocabs else "vocab.json"
    return [
        _marian(folder, settings, "source.spm", "vocab.json"),
        _marian(folder, settings, "target.spm", target),
    ]


def _marian(folder: Folder, settings: Settings, file: str, vocabulary: str) -> tokenizers.Tokenizer:
    wanted = wanted_tokens(folder, settings, MARIAN)
    unknown = token_name(settings, MARIAN, "unk_token")
    plan = _plan(folder, file, vocabulary, unknown, wanted)
    codes = [p.text for p in plan.pieces if p.text.startswith(">>") and p.text.endswith("<<")]
    pieces = [
        SentencePiece(p.text, kind=PieceType.USER_DEFINED) if p.text in codes else p
        for p in plan.pieces
    ]
    backend = assemble(replace(plan, pieces=pieces, codes=codes), wanted, folder)
    set_frame(backend, [], [token_name(settings, MARIAN, "eos_token")])
    return backend


def _plan(
    folder: Folder, file: str, vocabulary: str, unknown: str, wanted: Sequence[Wanted]
) -> SentencePieceLayout:
    """A model whose pieces have the ids that another file gives them."""
    model = load(folder, file)
    ids = folder.vocabulary(vocabulary)
    if unknown not in ids:
        raise TokenizerError(f"{folder.path / vocabulary} has no {unknown!r}, the unknown token")
    of_model = {piece.text: piece for piece in model.pieces if piece.kind in _ORDINARY}
    special = {token.content for token, _ in wanted}
    return SentencePieceLayout(
        name=str(folder.path / file),
        model=model,
        pieces=[
            SentencePiece(text, kind=PieceType.UNKNOWN)
            if text == unknown
            else _entry(text, of_model, special)
            for text in sorted(ids, key=ids.__getitem__)
        ],
        by_name=True,
        unlearnt=[piece for text, piece in of_model.items() if text not in ids],
    )


def _entry(text: str, of_model: Mapping[str, SentencePiece], special: set[str]) -> SentencePiece:
    if text in special:
        return SentencePiece(text, kind=PieceType.CONTROL)
    return of_model.get(text, SentencePiece(text, kind=PieceType.UNUSED))
