"""GPT-2's, RoBERTa's and BERT's vocabularies: plain lists of tokens and merges."""

from collections.abc import Callable, Mapping

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

from ..backend_errors import file_errors
from ..errors import TokenizerError
from .added import add_tokens, collect_added_tokens, set_bos_and_eos, set_special_affixes
from .files import Folder, TokenizerConfig, token_name

GPT2 = {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
FAIRSEQ = {  # RoBERTa's, and those of its SentencePiece relatives
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


def read_gpt2(folder: Folder, settings: TokenizerConfig) -> tokenizers.Tokenizer:
    """Read GPT-2's tokenizer: byte-level BPE; no special tokens around a text by default."""
    backend = _byte_level(folder, settings, GPT2)
    set_bos_and_eos(backend, settings, GPT2)
    return backend


def read_roberta(folder: Folder, settings: TokenizerConfig) -> tokenizers.Tokenizer:
    """Read the tokenizer of RoBERTa or BART: byte-level BPE, texts between <s> and </s>."""
    backend = _byte_level(folder, settings, FAIRSEQ)
    before, after = (token_name(settings, FAIRSEQ, field) for field in ("cls_token", "sep_token"))
    set_special_affixes(backend, [before], [after], between=[after, after])
    return backend


def read_bert(folder: Folder, settings: TokenizerConfig) -> tokenizers.Tokenizer:
    """Read BERT's tokenizer: WordPiece, texts between [CLS] and [SEP]."""
    unknown = token_name(settings, BERT, "unk_token")
    vocabulary = _read_vocab_txt(folder)
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
    add_tokens(backend, collect_added_tokens(folder, settings, BERT), folder)
    before, after = (token_name(settings, BERT, field) for field in ("cls_token", "sep_token"))
    set_special_affixes(backend, [before], [after], between=[after], second_type=1)
    return backend


BYTE_LEVEL_READERS: dict[str, Callable[[Folder, TokenizerConfig], tokenizers.Tokenizer]] = {
    "GPT2Tokenizer": read_gpt2,
    "RobertaTokenizer": read_roberta,
    "BartTokenizer": read_roberta,
    "LEDTokenizer": read_roberta,
    "LongformerTokenizer": read_roberta,
}
WORDPIECE_READERS: dict[str, Callable[[Folder, TokenizerConfig], tokenizers.Tokenizer]] = {
    "BertTokenizer": read_bert,
    "DistilBertTokenizer": read_bert,
    "ElectraTokenizer": read_bert,
    "MobileBertTokenizer": read_bert,
}


def _byte_level(
    folder: Folder, settings: TokenizerConfig, defaults: Mapping[str, str]
) -> tokenizers.Tokenizer:
    vocabulary = folder.vocabulary("vocab.json")
    with file_errors(str(folder.path / "merges.txt")):
        model = models.BPE(vocabulary, _read_merges(folder))
    backend = tokenizers.Tokenizer(model)
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(
        add_prefix_space=settings.add_prefix_space or False
    )
    backend.decoder = decoders.ByteLevel()
    add_tokens(backend, collect_added_tokens(folder, settings, defaults), folder)
    return backend


def _read_merges(folder: Folder) -> list[tuple[str, str]]:
    merges = []
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
        merges.append((left, right))
    return merges


def _read_vocab_txt(folder: Folder) -> dict[str, int]:
    """Return the ids of tokens from vocab.txt, which has one token per line."""
    lines = folder.text("vocab.txt").replace("\r\n", "\n").split("\n")
    if lines[-1] == "":
        lines.pop()
    vocabulary: dict[str, int] = {}
    for token_id, line in enumerate(lines):
        if vocabulary.setdefault(line, token_id) != token_id:
            raise TokenizerError(
                f"{folder.path / 'vocab.txt'}, line {token_id + 1}: the token {line[:60]!r} is "
                f"in line {vocabulary[line] + 1} already"
            )
    return vocabulary
