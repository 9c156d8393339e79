"""Families with SentencePiece models: T5, Llama, XLM-R, mBART, mBART-50, NLLB."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import tokenizers

from ..backend_errors import file_errors
from ..errors import TokenizerError
from . import languages
from .added import (
    TokenToAdd,
    add_tokens,
    collect_added_tokens,
    set_bos_and_eos,
    set_language_affix,
    set_special_affixes,
)
from .files import CONFIG, Folder, TokenizerConfig, token_name
from .from_sentencepiece import SentencePieceLayout, build
from .from_vocabulary import FAIRSEQ
from .sentencepiece_model import PieceType, SentencePiece, SentencePieceModel, read_sentencepiece

T5 = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
LLAMA = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
_EXTRA_IDS = 100  # T5's default
_MAX_EXTRA_IDS = 10_000


def load_sentencepiece(folder: Folder, name: str) -> SentencePieceModel:
    """Return a SentencePiece model of a folder."""
    return read_sentencepiece(folder.bytes(name), name=str(folder.path / name))


def control_pieces(texts: Iterable[str]) -> list[SentencePiece]:
    """Return special tokens as pieces."""
    return [SentencePiece(text, kind=PieceType.CONTROL) for text in texts]


def assemble(
    layout: SentencePieceLayout, added: Sequence[TokenToAdd], folder: Folder
) -> tokenizers.Tokenizer:
    """Build a layout, to which the added tokens that it lacks are appended."""
    present = {piece.text for piece in layout.pieces}
    missing = [
        SentencePiece(
            token.content, kind=PieceType.CONTROL if token.special else PieceType.USER_DEFINED
        )
        for token, _ in added
        if token.content not in present
    ]
    pieces = [*layout.pieces, *missing]
    with file_errors(layout.name):
        backend = build(replace(layout, pieces=pieces))
    add_tokens(backend, added, folder)
    return backend


def read_t5(folder: Folder, settings: TokenizerConfig) -> tokenizers.Tokenizer:
    """Read T5's tokenizer: the pieces, then <extra_id_99> to <extra_id_0>; </s> after a text."""
    model = load_sentencepiece(folder, "spiece.model")
    count = _EXTRA_IDS if settings.extra_ids is None else settings.extra_ids
    if not 0 <= count <= _MAX_EXTRA_IDS:
        raise TokenizerError(
            f"{folder.path / CONFIG}: extra_ids must be 0 to {_MAX_EXTRA_IDS}, not {count}"
        )
    extra = control_pieces(f"<extra_id_{i}>" for i in reversed(range(count)))
    layout = SentencePieceLayout(
        name=str(folder.path / "spiece.model"), model=model, pieces=[*model.pieces, *extra]
    )
    backend = assemble(layout, collect_added_tokens(folder, settings, T5), folder)
    end = token_name(settings, T5, "eos_token")
    set_special_affixes(backend, [], [end], between=[end])
    return backend


def read_llama(folder: Folder, settings: TokenizerConfig) -> tokenizers.Tokenizer:
    """Read the tokenizer of Llama 1 and 2 or Mistral: the pieces; <s> before a text by default."""
    model = load_sentencepiece(folder, "tokenizer.model")
    added = collect_added_tokens(folder, settings, LLAMA)
    layout = SentencePieceLayout(
        name=str(folder.path / "tokenizer.model"),
        model=model,
        pieces=model.pieces,
        prefix=settings.add_prefix_space is not False,
        prefix_once=settings.legacy is False and not all(token.special for token, _ in added),
    )
    backend = assemble(layout, added, folder)
    begin = token_name(settings, LLAMA, "bos_token")
    set_special_affixes(backend, [begin], [], between=[begin])
    set_bos_and_eos(backend, settings, LLAMA)
    return backend


def _read_fairseq(
    folder: Folder, settings: TokenizerConfig, codes: Sequence[str]
) -> tokenizers.Tokenizer:
    """Read a tokenizer in fairseq's order: <s> <pad> </s> <unk>, all pieces but three, codes."""
    file = "sentencepiece.bpe.model"
    model = load_sentencepiece(folder, file)
    start = [token_name(settings, FAIRSEQ, n) for n in ("bos_token", "pad_token", "eos_token")]
    unknown = SentencePiece(token_name(settings, FAIRSEQ, "unk_token"), kind=PieceType.UNKNOWN)
    end = [*codes, token_name(settings, FAIRSEQ, "mask_token")]
    pieces = [*control_pieces(start), unknown, *model.pieces[3:], *control_pieces(end)]
    if {piece.kind for piece in model.pieces[:3]} - {PieceType.UNKNOWN, PieceType.CONTROL}:
        raise TokenizerError(
            f"{folder.path / file} must begin with <unk>, <s> and </s>; its first pieces are "
            f"{', '.join(repr(piece.text) for piece in model.pieces[:3])}"
        )
    layout = SentencePieceLayout(name=str(folder.path / file), model=model, pieces=pieces)
    return assemble(layout, collect_added_tokens(folder, settings, FAIRSEQ), folder)


def read_xlm_roberta(folder: Folder, settings: TokenizerConfig) -> tokenizers.Tokenizer:
    """Read XLM-RoBERTa's tokenizer: texts between <s> and </s>."""
    backend = _read_fairseq(folder, settings, ())
    before, after = (token_name(settings, FAIRSEQ, n) for n in ("cls_token", "sep_token"))
    set_special_affixes(backend, [before], [after], between=[after, after])
    return backend


def read_mbart(folder: Folder, settings: TokenizerConfig) -> tokenizers.Tokenizer:
    """Read mBART's tokenizer: the language after a text."""
    backend = _read_fairseq(folder, settings, languages.MBART)
    set_language_affix(backend, settings, "MBartTokenizer")
    return backend


def read_mbart50(folder: Folder, settings: TokenizerConfig) -> tokenizers.Tokenizer:
    """Read mBART-50's tokenizer: the language before a text."""
    backend = _read_fairseq(folder, settings, languages.MBART50)
    set_language_affix(backend, settings, "MBart50Tokenizer")
    return backend


def read_nllb(folder: Folder, settings: TokenizerConfig) -> tokenizers.Tokenizer:
    """Read NLLB's tokenizer: the language before a text or, in its first version, after it."""
    backend = _read_fairseq(folder, settings, languages.NLLB)
    set_language_affix(backend, settings, "NllbTokenizer")
    return backend
