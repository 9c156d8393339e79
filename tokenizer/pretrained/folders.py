"""The tokenizer of a published model's folder: a table of file formats and their readers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import tokenizers

from ..backend_errors import file_errors
from ..errors import TokenizerError
from ..tokenizer import Tokenizer
from .families import read_llama, read_mbart, read_mbart50, read_nllb, read_t5, read_xlm_roberta
from .files import ADDED_TOKENS, CONFIG, MODEL_CONFIG, SPECIAL_TOKENS_MAP, Folder, TokenizerConfig
from .from_json import clean_up_decoded, read_json, split_special_token_names
from .from_pairs import read_m2m100, read_marian
from .from_vocabulary import BYTE_LEVEL_READERS, WORDPIECE_READERS

Reader = Callable[[Folder, TokenizerConfig], tokenizers.Tokenizer | Sequence[tokenizers.Tokenizer]]


class Tokenizers(NamedTuple):
    """The tokenizers of texts that a model reads and of those that it writes: mostly the same."""

    source: Tokenizer
    target: Tokenizer


@dataclass(frozen=True)
class Format:
    """The files of a tokenizer, and their readers by the name of the tokenizer's class."""

    files: tuple[str, ...]
    readers: Mapping[str, Reader]
    default: str | None = None  # the class, if the folder names none
    optional: tuple[str, ...] = ()


JSON, TARGET_JSON = "tokenizer.json", "target_tokenizer.json"
FORMATS = (  # the first whose files all exist is used
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

# Files of tokenizers that are not read.
_UNREAD = ("tekken.json", "*.tiktoken", "tokenizer.model.v*", "*.model", "*.spm", "*.codes")

# All files that `read_tokenizers` may read.
TOKENIZER_FILES: tuple[str, ...] = tuple(
    dict.fromkeys(
        [
            *(JSON, TARGET_JSON, CONFIG, SPECIAL_TOKENS_MAP, ADDED_TOKENS, MODEL_CONFIG),
            *(name for form in FORMATS for name in (*form.files, *form.optional)),
        ]
    )
)

# The class for an architecture of config.json, if tokenizer_config.json names none.
CLASS_BY_MODEL_TYPE = {
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
    "phi3": "LlamaTokenizer",
    "roberta": "RobertaTokenizer",
    "t5": "T5Tokenizer",
    "umt5": "T5Tokenizer",
    "xlm-roberta": "XLMRobertaTokenizer",
}
_GENERIC_CLASSES = {"PreTrainedTokenizer", "PreTrainedTokenizerFast", "TokenizersBackend"}


def read_tokenizers(folder: Path, *, vocabulary: int | None = None) -> Tokenizers:
    """Return the tokenizers of a model folder, whether published or ours.

    Raises TokenizerError, also for files that are far too large for a model of so many tokens.
    """
    files = Folder(folder, vocabulary)
    settings = files.settings()
    if files.has(JSON):
        backends: list[tokenizers.Tokenizer] = [read_json(files, JSON, settings)]
        if files.has(TARGET_JSON):
            backends.append(read_json(files, TARGET_JSON, settings))
    else:
        files.refuse_unsupported(settings)
        loaded = _find_reader(files, settings)(files, settings)
        backends = [loaded] if isinstance(loaded, tokenizers.Tokenizer) else [*loaded]
    with file_errors(str(folder)):
        ready = [_finish(backend, settings) for backend in backends]
    return Tokenizers(ready[0], ready[-1])


def _finish(backend: tokenizers.Tokenizer, settings: TokenizerConfig) -> Tokenizer:
    if settings.clean_up_tokenization_spaces:
        clean_up_decoded(backend)
    tokenizer = Tokenizer(backend)
    split_special_token_names(tokenizer)
    return tokenizer


def _find_reader(files: Folder, settings: TokenizerConfig) -> Reader:
    """Return the reader of a folder without a tokenizer.json. Raises TokenizerError."""
    form = next((form for form in FORMATS if all(map(files.has, form.files))), None)
    if form is None:
        raise TokenizerError(
            f"{files.path} holds no tokenizer{_incomplete(files)}; looked for {JSON}, or "
            f"{'; '.join(' + '.join(form.files) for form in FORMATS)}"
        )
    class_name = (settings.tokenizer_class or "").removesuffix("Fast")
    if not class_name or {class_name, settings.tokenizer_class} & _GENERIC_CLASSES:
        architecture = files.model_type()
        class_name = CLASS_BY_MODEL_TYPE.get(architecture or "", architecture) or form.default or ""
    if class_name not in form.readers:
        raise TokenizerError(
            f"{files.path} has a tokenizer of {' + '.join(form.files)} for "
            f"{class_name or 'no class'}; supported as tokenizer_class in {CONFIG}: "
            f"{', '.join(form.readers)}; other tokenizers are read from {JSON} alone"
        )
    return form.readers[class_name]


def _incomplete(files: Folder) -> str:
    """Return an addition to a message: files of another format, or a part of one that is read."""
    for pattern in _UNREAD:
        for path in sorted(files.path.glob(pattern)):
            if path.name not in TOKENIZER_FILES:
                return f" that is read, but {path.name}"
    parts = [([*filter(files.has, form.files)], form.files) for form in reversed(FORMATS)]
    started = [(present, {*names} - {*present}) for present, names in parts if present]
    if not started:
        return ""
    present, lacking = min(started, key=lambda part: (len(part[1]), -len(part[0])))
    return f" that is whole: there is {', '.join(present)} without {', '.join(sorted(lacking))}"
