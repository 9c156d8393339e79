"""GPT-2's, RoBERTa's and BERT's vocabularies: plain lists of tokens and merges."""

from collections.abc import Callable, Mapping

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

from ..errors import TokenizerError
from ..tokenizer import usable
from .added import add_tokens, set_asked_frame, set_frame, wanted_tokens
from .files import Folder, Settings, name_of

GPT2 = {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
ROBERTA = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "cls_token": "<s>",
    "mask_token": "<mask>",
}
BERT = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}


def read_gpt2(folder: Folder, settings: Settings) -> tokenizers.Tokenizer:
    """GPT-2: bytes, merged; no frame unless one is asked for."""
    backend = _byte_level(folder, settings, GPT2)
    set_asked_frame(backend, settings, GPT2)
    return backend


def read_roberta(folder: Folder, settings: Settings) -> tokenizers.Tokenizer:
    """RoBERTa and BART: bytes, merged, between <s> and </s>."""
    backend = _byte_level(folder, settings, ROBERTA)
    before, after = (_name(settings, ROBERTA, field) for field in ("cls_token", "sep_token"))
    set_frame(backend, [before], [after])
    return backend


def read_bert(folder: Folder, settings: Settings) -> tokenizers.Tokenizer:
    """BERT: words, cut into the longest pieces there are, between [CLS] and [SEP]."""
    unknown = _name(settings, BERT, "unk_token")
    vocabulary = _lines(folder)
    if unknown not in vocabulary:
        raise TokenizerError(
            f"{folder.path / 'vocab.txt'} has no {unknown!r}; name its unknown token as unk_token "
            "in tokenizer_config.json"
        )
    backend = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token=unknown))
    if settings.do_basic_tokenize is False:
        backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    else:
        backend.normalizer = normalizers.BertNormalizer(
            clean_text=True,
            handle_chinese_chars=settings.tokenize_chinese_chars is not False,
            strip_accents=settings.strip_accents,
            lowercase=settings.do_lower_case is not False,
        )
        backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    add_tokens(backend, wanted_tokens(folder, settings, BERT), folder)
    set_frame(backend, [_name(settings, BERT, "cls_token")], [_name(settings, BERT, "sep_token")])
    return backend


BYTE_LEVEL_READERS: dict[str, Callable[[Folder, Settings], tokenizers.Tokenizer]] = {
    "GPT2Tokenizer": read_gpt2,
    "RobertaTokenizer": read_roberta,
    "BartTokenizer": read_roberta,
    "LEDTokenizer": read_roberta,
    "LongformerTokenizer": read_roberta,
}
WORDPIECE_READERS: dict[str, Callable[[Folder, Settings], tokenizers.Tokenizer]] = {
    "BertTokenizer": read_bert,
    "DistilBertTokenizer": read_bert,
    "ElectraTokenizer": read_bert,
    "MobileBertTokenizer": read_bert,
}


def _name(settings: Settings, defaults: Mapping[str, str], field: str) -> str:
    return name_of(getattr(settings, field) or defaults[field])


def _byte_level(
    folder: Folder, settings: Settings, defaults: Mapping[str, str]
) -> tokenizers.Tokenizer:
    vocabulary = folder.vocabulary("vocab.json")
    with usable(str(folder.path / "merges.txt")):
        model = models.BPE(vocabulary, _merges(folder))
    backend = tokenizers.Tokenizer(model)
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(
        add_prefix_space=settings.add_prefix_space or False
    )
    backend.decoder = decoders.ByteLevel()
    add_tokens(backend, wanted_tokens(folder, settings, defaults), folder)
    return backend


def _merges(folder: Folder) -> list[tuple[str, str]]:
    found = []
    lines = folder.text("merges.txt").replace("\r\n", "\n").split("\n")
    for number, line in enumerate(lines, 1):
        if not line or line.startswith("#version"):
            continue
        left, _, right = line.partition(" ")
        if not (left and right) or " " in right:
            raise TokenizerError(
                f"{folder.path / 'merges.txt'}, line {number}: a merge is two tokens with one "
                f"space between them, not {line[:60]!r}"
            )
        found.append((left, right))
    return found


def _lines(folder: Folder) -> dict[str, int]:
    """The tokens of vocab.txt, one a line, and their ids."""
    lines = folder.text("vocab.txt").replace("\r\n", "\n").split("\n")
    if lines[-1] == "":
        lines.pop()
    vocabulary: dict[str, int] = {}
    for token_id, line in enumerate(lines):
        if vocabulary.setdefault(line, token_id) != token_id:
            raise TokenizerError(
                f"{folder.path / 'vocab.txt'}, line {token_id + 1}: the token {line[:60]!r} stands "
                f"in line {vocabulary[line] + 1} already"
            )
    return vocabulary
