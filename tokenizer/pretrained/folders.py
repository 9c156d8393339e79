"""The tokenizer of a published model's folder: a table of the files that tokenizers come in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import tokenizers

from ..errors import TokenizerError
from ..tokenizer import Tokenizer, usable
from .families import read_llama, read_mbart, read_mbart50, read_nllb, read_t5, read_xlm_roberta
from .files import ADDED_TOKENS, CONFIG, MODEL_CONFIG, SPECIAL_TOKENS_MAP, Folder, Settings
from .from_json import keep_names_ordinary, read_json, tidy_decoded
from .from_pairs import read_m2m100, read_marian
from .from_vocabulary import BYTE_LEVEL_READERS, WORDPIECE_READERS

Read = Callable[[Folder, Settings], tokenizers.Tokenizer | Sequence[tokenizers.Tokenizer]]


class Tokenizers(NamedTuple):
    """What cuts the texts that a model reads, and those that it writes: mostly the same."""

    source: Tokenizer
    target: Tokenizer


@dataclass(frozen=True)
class Format:
    """Files that make up a tokenizer, and who reads them, by the name of its class."""

    files: tuple[str, ...]
    readers: Mapping[str, Read]
    default: str | None = None  # the class, where the folder names none
    optional: tuple[str, ...] = ()


JSON, TARGET_JSON = "tokenizer.json", "target_tokenizer.json"
FORMATS = (  # the first whose files are all there
    Format(
        ("source.spm", "target.spm", "vocab.json"),
        {"MarianTokenizer": read_marian},
        default="MarianTokenizer",
        optional=("target_vocab.json",),
    ),
    Format(
        ("sentencepiece.bpe.model", "vocab.json"),
        {"M2M100Tokenizer": read_m2m100},
        default="M2M100Tokenizer",
    ),
    Format(
        ("sentencepiece.bpe.model",),
        {
            "MBartTokenizer": read_mbart,
            "MBart50Tokenizer": read_mbart50,
            "NllbTokenizer": read_nllb,
            "XLMRobertaTokenizer": read_xlm_roberta,
        },
    ),
    Format(
        ("spiece.model",), {"T5Tokenizer": read_t5, "MT5Tokenizer": read_t5}, default="T5Tokenizer"
    ),
    Format(("tokenizer.model",), {"LlamaTokenizer": read_llama}, default="LlamaTokenizer"),
    Format(("vocab.json", "merges.txt"), BYTE_LEVEL_READERS, default="GPT2Tokenizer"),
    Format(("vocab.txt",), WORDPIECE_READERS, default="BertTokenizer"),
)

# Every file that `read_tokenizers` may read.
TOKENIZER_FILES: tuple[str, ...] = tuple(
    dict.fromkeys(
        [
            *(JSON, TARGET_JSON, CONFIG, SPECIAL_TOKENS_MAP, ADDED_TOKENS, MODEL_CONFIG),
            *(name for form in FORMATS for name in (*form.files, *form.optional)),
        ]
    )
)

# The class that an architecture of config.json means where tokenizer_config.json names none.
CLASSES = {
    "bart": "BartTokenizer",
    "bert": "BertTokenizer",
    "distilbert": "DistilBertTokenizer",
    "electra": "ElectraTokenizer",
    "gpt2": "GPT2Tokenizer",
    "led": "LEDTokenizer",
    "llama": "LlamaTokenizer",
    "longformer": "LongformerTokenizer",
    "m2m_100": "M2M100Tokenizer",
    "marian": "MarianTokenizer",
    "mbart": "MBartTokenizer",
    "mistral": "LlamaTokenizer",
    "mobilebert": "MobileBertTokenizer",
    "mt5": "MT5Tokenizer",
    "roberta": "RobertaTokenizer",
    "t5": "T5Tokenizer",
    "umt5": "T5Tokenizer",
    "xlm-roberta": "XLMRobertaTokenizer",
}
_NO_CLASS = {"PreTrainedTokenizer", "PreTrainedTokenizerFast", "TokenizersBackend"}


def read_tokenizers(folder: Path, *, vocabulary: int | None = None) -> Tokenizers:
    """The tokenizers of a published model's folder, or of one of ours. Raises TokenizerError,
    also for files that are far too large for a model of so many tokens."""
    files = Folder(folder, vocabulary)
    settings = files.settings()
    if files.has(JSON):
        found: list[tokenizers.Tokenizer] = [read_json(files, JSON, settings)]
        if files.has(TARGET_JSON):
            found.append(read_json(files, TARGET_JSON, settings))
    else:
        files.refuse(settings)
        read = _reader(files, settings)(files, settings)
        found = [read] if isinstance(read, tokenizers.Tokenizer) else [*read]
    with usable(str(folder)):
        finished = [_finished(backend, settings) for backend in found]
    return Tokenizers(finished[0], finished[-1])


def _finished(backend: tokenizers.Tokenizer, settings: Settings) -> Tokenizer:
    if settings.clean_up_tokenization_spaces:
        tidy_decoded(backend)
    tokenizer = Tokenizer(backend)
    keep_names_ordinary(tokenizer)
    return tokenizer


def _reader(files: Folder, settings: Settings) -> Read:
    """Who reads a folder without a tokenizer.json."""
    form = next((form for form in FORMATS if all(map(files.has, form.files))), None)
    if form is None:
        raise TokenizerError(
            f"{files.path} holds no tokenizer; looked for {JSON}, or "
            f"{'; '.join(' + '.join(form.files) for form in FORMATS)}"
        )
    named = (settings.tokenizer_class or "").removesuffix("Fast")
    if not named or named in _NO_CLASS or settings.tokenizer_class in _NO_CLASS:
        architecture = files.model_type()
        named = CLASSES.get(architecture, architecture) if architecture else form.default or ""
    if named not in form.readers:
        raise TokenizerError(
            f"{files.path} has a tokenizer of {' + '.join(form.files)} for {named or 'no class'}; "
            f"supported as tokenizer_class in {CONFIG}: {', '.join(form.readers)}; other "
            f"tokenizers are read from {JSON} alone"
        )
    return form.readers[named]
