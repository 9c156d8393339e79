"""Small tokenizers of every family, as their published folders have them."""

import functools
import json
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import transformers

from tests.tokenizer.pretrained.folders import (
    BERT_VOCABULARY,
    LLAMA,
    WORDS,
    sentencepiece_model,
    sentences,
    write,
)
from tokenizer import TrainingOptions, read_tokenizers, train_tokenizer
from tokenizer.pretrained.sentencepiece_model import read_sentencepiece

Rng = random.Random
Choices = dict[str, Any]
FORM = "form"  # the choice of a tokenizer's files, which is no option of it
GENERIC = ("PreTrainedTokenizerFast",)
# A special token more than the other files have; the embedding may have no row for it.
EXTRA: dict[str, tuple[Any, ...]] = {"additional_special_tokens": (None, None, ["<beyond>"])}


class Ids(NamedTuple):
    """The size of a vocabulary, and its special ids as config.json and settings name them."""

    size: int
    config: dict[str, Any]
    generation: dict[str, Any]
    target_size: int | None = None  # if target texts have a vocabulary of their own


@dataclass(frozen=True)
class TokenizerFolder:
    """A family's tokenizer: its options, its files, and the names of its special tokens."""

    options: dict[str, tuple[Any, ...]]
    files: Callable[[Choices], dict[str, Any]]
    special: dict[str, str]  # names of config.json's ids, and the tokens' own
    converted: bool = False  # True: always in a tokenizer.json that transformers makes of the files

    def draw(self, rng: Rng) -> Choices:
        """Return options of the tokenizer."""
        return {name: rng.choice(values) for name, values in self.options.items()}

    def write(self, choices: Choices, folder: Path) -> None:
        """Write the tokenizer's files."""
        write(folder, self.files(choices))
        if self.converted or choices.get(FORM) == "converted":
            self.reference(folder).save_pretrained(folder)

    def reference(self, folder: Path) -> Any:
        """Return the tokenizer that transformers reads from the files."""
        name = json.loads((folder / "tokenizer_config.json").read_text())["tokenizer_class"]
        name = name if name in GENERIC else name.removesuffix("Fast")
        return getattr(transformers, name).from_pretrained(folder)

    def ids(self, folder: Path) -> Ids:
        """Return the ids of a folder's tokenizer."""
        source, target = read_tokenizers(folder)
        named = {name: target.token_id(token) for name, token in self.special.items()}
        absent = [name for name, token_id in named.items() if token_id is None]
        assert not absent, absent
        separate = target.vocab_size if target is not source else None
        settings = json.loads((folder / "tokenizer_config.json").read_text())
        return Ids(
            source.vocab_size,
            named,
            named,
            separate if settings.get("separate_vocabs") else None,
        )


@functools.cache
def _byte_files(special: tuple[str, ...]) -> dict[str, Any]:
    options = TrainingOptions(kind="byte-bpe", vocab_size=340, normalization="none")
    model = json.loads(train_tokenizer(sentences(), options).to_json())["model"]
    vocabulary = dict(model["vocab"])
    for name in special:
        vocabulary.setdefault(name, len(vocabulary))
    merges = "\n".join(["#version: 0.2", *map(" ".join, model["merges"])]) + "\n"
    return {"vocab.json": vocabulary, "merges.txt": merges}


def _pieces(model: bytes) -> list[str]:
    return [piece.text for piece in read_sentencepiece(model, name="model").pieces[3:]]


def _config(family: str, choices: Choices) -> dict[str, Any]:
    settings = {n: v for n, v in choices.items() if n != FORM and v is not None}
    return {"tokenizer_config.json": {"tokenizer_class": family, **settings}}


def _bytes(family: str, *special: str) -> Callable[[Choices], dict[str, Any]]:
    return lambda choices: {**_byte_files(special), **_config(family, choices)}


def _sentencepiece(
    family: str, file: str, kind: str, size: int, **training: Any
) -> Callable[[Choices], dict[str, Any]]:
    def files(choices: Choices) -> dict[str, Any]:
        name = choices.get("tokenizer_class", family)
        more = {key: value for key, value in choices.items() if key != "tokenizer_class"}
        return {file: sentencepiece_model(kind, size, **training), **_config(name, more)}

    return files


def _wordpiece(family: str) -> Callable[[Choices], dict[str, Any]]:
    words = "".join(f"{token}\n" for token in BERT_VOCABULARY)
    return lambda choices: {"vocab.txt": words, **_config(family, choices)}


def _marian(choices: Choices) -> dict[str, Any]:
    models = [sentencepiece_model("unigram", 180, words=w) for w in (WORDS[:17], WORDS[12:])]
    pieces = [_pieces(model) for model in models]
    files = {
        "source.spm": models[0],
        "target.spm": models[1],
        **_config("MarianTokenizer", choices),
    }
    codes = [">>fra<<", ">>deu<<"]

    def vocabulary(*texts: str) -> dict[str, int]:
        pad = ["<pad>"] if choices["separate_vocabs"] else []  # of one id in both
        names = dict.fromkeys(["</s>", "<unk>", *pad, *sorted(set(texts)), *codes, "<pad>"])
        return {name: number for number, name in enumerate(names)}

    if choices["separate_vocabs"]:
        return {
            **files,
            "vocab.json": vocabulary(*pieces[0]),
            "target_vocab.json": vocabulary(*pieces[1]),
        }
    return {**files, "vocab.json": vocabulary(*pieces[0], *pieces[1])}


def _llama(choices: Choices) -> dict[str, Any]:
    """SentencePiece's model, a tokenizer.json made of it, or bytes as Llama 3 and Tekken have."""
    if choices[FORM] != "bytes":
        return _LLAMA_FILES(choices)
    options = TrainingOptions(kind="byte-bpe", vocab_size=340, normalization="none")
    trained = train_tokenizer(sentences(), options)
    begin = [trained.token_id("<s>")] if choices["add_bos_token"] else []
    names = {"bos_token": "<s>", "eos_token": "</s>"}
    extra = {n: choices[n] for n in EXTRA if choices.get(n)}
    return {
        "tokenizer.json": trained.to_json(special_affixes=(begin, [])),
        **_config(GENERIC[0], {**names, **extra}),
    }


def _m2m100_or_nllb(choices: Choices) -> dict[str, Any]:
    """NLLB's languages have ids of their own in a tokenizer.json alone."""
    if choices["src_lang"] not in _NLLB_LANGUAGES:
        return _m2m100(choices)
    files = _NLLB_FILES(choices)
    with tempfile.TemporaryDirectory() as folder:
        source = read_tokenizers(write(Path(folder), files)).source
    return {"tokenizer.json": source.to_json(), **_config("NllbTokenizerFast", choices)}


def _m2m100(choices: Choices) -> dict[str, Any]:
    model = sentencepiece_model("bpe", 200)
    names = ["<s>", "<pad>", "</s>", "<unk>", *_pieces(model)]
    return {
        "sentencepiece.bpe.model": model,
        "vocab.json": {name: number for number, name in enumerate(names)},
        **_config("M2M100Tokenizer", choices),
    }


_GEMMA_PIECES = {
    "pad_id": 0,
    "eos_id": 1,
    "bos_id": 2,
    "unk_id": 3,
    "eos_piece": "<eos>",
    "bos_piece": "<bos>",
}
_T5 = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
_FAIRSEQ = {"bos_token_id": "<s>", "pad_token_id": "<pad>", "eos_token_id": "</s>"}
_SEQ2SEQ = {**_FAIRSEQ, "decoder_start_token_id": "</s>"}
_LLAMA_FILES = _sentencepiece("LlamaTokenizer", "tokenizer.model", "bpe", 340, **LLAMA)
_XLMR = "sentencepiece.bpe.model"
_NLLB_FILES = _sentencepiece("NllbTokenizer", _XLMR, "bpe", 300)
_NLLB_LANGUAGES = ("eng_Latn", "deu_Latn")
_GEMMA = TokenizerFolder(  # tokenizer.json stands beside the model in all that are published
    {"add_bos_token": (True, False), **EXTRA},
    _sentencepiece("GemmaTokenizer", "tokenizer.model", "bpe", 340, **LLAMA, **_GEMMA_PIECES),
    {"pad_token_id": "<pad>", "bos_token_id": "<bos>", "eos_token_id": "<eos>"},
    converted=True,
)
_LLAMA_OPTIONS = {
    FORM: ("model", "converted", "bytes"),
    "add_bos_token": (True, False),
    "legacy": (None, False),
    **EXTRA,
}
_QWEN = TokenizerFolder(
    EXTRA,
    _bytes("Qwen2Tokenizer", "<|endoftext|>"),
    {"eos_token_id": "<|endoftext|>", "pad_token_id": "<|endoftext|>"},
    converted=True,
)

TOKENIZERS: dict[str, TokenizerFolder] = {
    "gpt2": TokenizerFolder(
        {"add_prefix_space": (False, True), **EXTRA},
        _bytes("GPT2Tokenizer", "<|endoftext|>"),
        {"bos_token_id": "<|endoftext|>", "eos_token_id": "<|endoftext|>"},
    ),
    "llama": TokenizerFolder(
        _LLAMA_OPTIONS,
        _llama,
        {"bos_token_id": "<s>", "eos_token_id": "</s>"},
    ),
    "mistral": TokenizerFolder(
        _LLAMA_OPTIONS,
        _llama,
        {"bos_token_id": "<s>", "eos_token_id": "</s>"},
    ),
    "qwen2": _QWEN,
    "qwen3": _QWEN,
    "smollm3": TokenizerFolder(
        {**_LLAMA_OPTIONS, FORM: ("bytes",)},
        _llama,
        {"bos_token_id": "<s>", "eos_token_id": "</s>", "pad_token_id": "</s>"},
    ),
    "olmo2": TokenizerFolder(
        EXTRA,
        _bytes("GPT2Tokenizer", "<|endoftext|>", "<|pad|>"),
        {"eos_token_id": "<|endoftext|>", "pad_token_id": "<|pad|>"},
        converted=True,
    ),
    "phi3": TokenizerFolder(
        _LLAMA_OPTIONS,
        _llama,
        {"bos_token_id": "<s>", "eos_token_id": "</s>"},
    ),
    "gemma2": _GEMMA,
    "gemma3_text": _GEMMA,
    "bert": TokenizerFolder(
        {"do_lower_case": (True, False), "strip_accents": (None, False)},
        _wordpiece("BertTokenizer"),
        {"pad_token_id": "[PAD]"},
    ),
    "distilbert": TokenizerFolder(
        {"do_lower_case": (True, False)},
        _wordpiece("DistilBertTokenizer"),
        {"pad_token_id": "[PAD]"},
    ),
    "roberta": TokenizerFolder(
        {"add_prefix_space": (False, True), **EXTRA}, _bytes("RobertaTokenizer", "<mask>"), _FAIRSEQ
    ),
    "longformer": TokenizerFolder(
        {"add_prefix_space": (False, True), **EXTRA}, _bytes("RobertaTokenizer", "<mask>"), _FAIRSEQ
    ),
    "xlm-roberta": TokenizerFolder(
        {}, _sentencepiece("XLMRobertaTokenizer", _XLMR, "unigram", 300), _FAIRSEQ
    ),
    "roformer": TokenizerFolder(
        {"do_lower_case": (True, False)},
        _wordpiece("BertTokenizer"),
        {"pad_token_id": "[PAD]"},
        converted=True,
    ),
    "bart": TokenizerFolder(
        {"add_prefix_space": (False, True), **EXTRA}, _bytes("BartTokenizer", "<mask>"), _SEQ2SEQ
    ),
    "led": TokenizerFolder(
        {"add_prefix_space": (False, True), **EXTRA}, _bytes("BartTokenizer", "<mask>"), _SEQ2SEQ
    ),
    "mbart": TokenizerFolder(
        {"tokenizer_class": ("MBartTokenizer", "MBart50Tokenizer"), "src_lang": ("en_XX", "de_DE")},
        _sentencepiece("MBartTokenizer", _XLMR, "unigram", 300),
        _SEQ2SEQ,
    ),
    "pegasus": TokenizerFolder(
        {},
        _sentencepiece("PegasusTokenizer", "spiece.model", "unigram", 300, **_T5),
        {"pad_token_id": "<pad>", "eos_token_id": "</s>", "decoder_start_token_id": "<pad>"},
        converted=True,
    ),
    "marian": TokenizerFolder(
        {"separate_vocabs": (False, True)},
        _marian,
        {"pad_token_id": "<pad>", "eos_token_id": "</s>", "decoder_start_token_id": "<pad>"},
    ),
    "m2m_100": TokenizerFolder(
        {"src_lang": (*_NLLB_LANGUAGES, "en", "fr")}, _m2m100_or_nllb, _SEQ2SEQ
    ),
    "t5": TokenizerFolder(
        {"extra_ids": (0, 10)},
        _sentencepiece("T5Tokenizer", "spiece.model", "unigram", 300, **_T5),
        {"pad_token_id": "<pad>", "eos_token_id": "</s>", "decoder_start_token_id": "<pad>"},
    ),
}
