"""The families whose texts SentencePiece cuts: T5, Llama, XLM-R, mBART, mBART-50, NLLB."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import tokenizers

from ..errors import TokenizerError
from ..tokenizer import usable
from . import languages
from .added import Wanted, add_tokens, set_asked_frame, set_frame, set_language_frame, wanted_tokens
from .files import CONFIG, Folder, Settings, name_of
from .from_sentencepiece import SentencePieceLayout, build
from .sentencepiece_model import PieceType, SentencePiece, SentencePieceModel, read_sentencepiece

T5 = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
LLAMA = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
FAIRSEQ = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "cls_token": "<s>",
    "mask_token": "<mask>",
}
_EXTRA_IDS = 100  # T5's, for the gaps that it fills
_MAX_EXTRA_IDS = 10_000


def load(folder: Folder, name: str) -> SentencePieceModel:
    """A SentencePiece model of a folder."""
    return read_sentencepiece(folder.bytes(name), name=str(folder.path / name))


def names(texts: Iterable[str]) -> list[SentencePiece]:
    """Special tokens, as pieces."""
    return [SentencePiece(text, kind=PieceType.CONTROL) for text in texts]


def token_name(settings: Settings, defaults: Mapping[str, str], field: str) -> str:
    """What a token is called: as the settings say or, by default, as in its family."""
    return name_of(getattr(settings, field) or defaults[field])


def assemble(
    plan: SentencePieceLayout, wanted: Sequence[Wanted], folder: Folder
) -> tokenizers.Tokenizer:
    """Build a plan to which the wanted tokens that it has not yet are appended."""
    present = {piece.text for piece in plan.pieces}
    further = [
        SentencePiece(
            token.content, kind=PieceType.CONTROL if token.special else PieceType.USER_DEFINED
        )
        for token, _ in wanted
        if token.content not in present
    ]
    pieces = [*plan.pieces, *further]
    with usable(plan.name):
        backend = build(replace(plan, pieces=pieces))
    add_tokens(backend, wanted, folder)
    return backend


def read_t5(folder: Folder, settings: Settings) -> tokenizers.Tokenizer:
    """T5: the pieces, then <extra_id_99> down to <extra_id_0>; </s> after a text."""
    model = load(folder, "spiece.model")
    count = _EXTRA_IDS if settings.extra_ids is None else settings.extra_ids
    if not 0 <= count <= _MAX_EXTRA_IDS:
        raise TokenizerError(
            f"{folder.path / CONFIG}: extra_ids must be 0 to {_MAX_EXTRA_IDS}, not {count}"
        )
    extra = names(f"<extra_id_{i}>" for i in reversed(range(count)))
    plan = SentencePieceLayout(
        name=str(folder.path / "spiece.model"), model=model, pieces=[*model.pieces, *extra]
    )
    backend = assemble(plan, wanted_tokens(folder, settings, T5), folder)
    set_frame(backend, [], [token_name(settings, T5, "eos_token")])
    return backend


def read_llama(folder: Folder, settings: Settings) -> tokenizers.Tokenizer:
    """Llama 1 and 2, Mistral: the pieces as they are; <s> before a text unless told otherwise."""
    model = load(folder, "tokenizer.model")
    wanted = wanted_tokens(folder, settings, LLAMA)
    plan = SentencePieceLayout(
        name=str(folder.path / "tokenizer.model"),
        model=model,
        pieces=model.pieces,
        prefix=settings.add_prefix_space is not False,
        prefix_once=settings.legacy is False and not all(token.special for token, _ in wanted),
    )
    backend = assemble(plan, wanted, folder)
    set_frame(backend, [token_name(settings, LLAMA, "bos_token")], [])
    set_asked_frame(backend, settings, LLAMA)
    return backend


def _fairseq(folder: Folder, settings: Settings, codes: Sequence[str]) -> tokenizers.Tokenizer:
    """fairseq's order: <s> <pad> </s> <unk>, the pieces after SentencePiece's own three, codes."""
    file = "sentencepiece.bpe.model"
    model = load(folder, file)
    start = [token_name(settings, FAIRSEQ, n) for n in ("bos_token", "pad_token", "eos_token")]
    unknown = SentencePiece(token_name(settings, FAIRSEQ, "unk_token"), kind=PieceType.UNKNOWN)
    end = [*codes, token_name(settings, FAIRSEQ, "mask_token")]
    pieces = [*names(start), unknown, *model.pieces[3:], *names(end)]
    if {piece.kind for piece in model.pieces[:3]} - {PieceType.UNKNOWN, PieceType.CONTROL}:
        raise TokenizerError(
            f"{folder.path / file} must begin with <unk>, <s> and </s>; its first pieces are "
            f"{', '.join(repr(piece.text) for piece in model.pieces[:3])}"
        )
    plan = SentencePieceLayout(name=str(folder.path / file), model=model, pieces=pieces)
    return assemble(plan, wanted_tokens(folder, settings, FAIRSEQ), folder)


def read_xlm_roberta(folder: Folder, settings: Settings) -> tokenizers.Tokenizer:
    """XLM-RoBERTa: texts between <s> and </s>."""
    backend = _fairseq(folder, settings, ())
    before, after = (token_name(settings, FAIRSEQ, n) for n in ("cls_token", "sep_token"))
    set_frame(backend, [before], [after])
    return backend


def read_mbart(folder: Folder, settings: Settings) -> tokenizers.Tokenizer:
    """MBART: the language after a text."""
    backend = _fairseq(folder, settings, languages.MBART)
    set_language_frame(backend, settings, "MBartTokenizer")
    return backend


def read_mbart50(folder: Folder, settings: Settings) -> tokenizers.Tokenizer:
    """MBART-50: the language before a text."""
    backend = _fairseq(folder, settings, languages.MBART50)
    set_language_frame(backend, settings, "MBart50Tokenizer")
    return backend


def read_nllb(folder: Folder, settings: Settings) -> tokenizers.Tokenizer:
    """NLLB: the language before a text or, in its first version, after it."""
    backend = _fairseq(folder, settings, languages.NLLB)
    set_language_frame(backend, settings, "NllbTokenizer")
    return backend
