"""A published tokenizer.json, and what the settings beside it change in it."""

import base64
import json
from typing import Any

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

from ..special import OUT_OF_VOCABULARY
from ..tokenizer import Tokenizer, usable
from .added import LANGUAGE_FRAMES, add_tokens, set_asked_frame, set_language_frame, wanted_tokens
from .charsmap import check_charsmap
from .files import Folder, Settings
from .guard import refuse_panics

# English as it is written: what clean_up_tokenization_spaces replaces in a decoded text, in order.
_TIDY = {
    " .": ".",
    " ?": "?",
    " !": "!",
    " ,": ",",
    " ' ": "'",
    " n't": "n't",
    " 'm": "'m",
    " 's": "'s",
    " 've": "'ve",
    " 're": "'re",
}


def read_json(folder: Folder, name: str, settings: Settings) -> tokenizers.Tokenizer:
    """A tokenizer.json with the tokens, the frame and the normalization of the settings."""
    path = str(folder.path / name)
    backend = Tokenizer.from_json(folder.text(name), name=path).backend
    with usable(path):
        _check_normalizer(backend, path)
        _set_normalization(backend, settings)
        if backend.token_to_id(OUT_OF_VOCABULARY) is None:  # else it is one of ours, and complete
            add_tokens(backend, wanted_tokens(folder, settings, {}), folder)
        set_asked_frame(backend, settings, {})
        family = (settings.tokenizer_class or "").removesuffix("Fast")
        if settings.src_lang is not None and family in LANGUAGE_FRAMES:
            set_language_frame(backend, settings, family)
    return backend


def _check_normalizer(backend: tokenizers.Tokenizer, path: str) -> None:
    """Refuse tables of characters that would make the library panic at a text."""
    if backend.normalizer is None:
        return
    left: list[Any] = [json.loads(backend.normalizer.__getstate__())]
    while left:
        step = left.pop()
        left += step.get("normalizers", [])
        if step["type"] == "Precompiled":
            check_charsmap(base64.b64decode(step["precompiled_charsmap"]), name=path)


def _set_normalization(backend: tokenizers.Tokenizer, settings: Settings) -> None:
    """BERT's and GPT-2's classes take the settings' word over tokenizer.json's."""
    given = backend.normalizer
    if isinstance(given, normalizers.BertNormalizer):
        if settings.do_lower_case is not None:
            given.lowercase = settings.do_lower_case
        if settings.strip_accents is not None:
            given.strip_accents = settings.strip_accents
        if settings.tokenize_chinese_chars is not None:
            given.handle_chinese_chars = settings.tokenize_chinese_chars
        backend.normalizer = given
    split = backend.pre_tokenizer
    if isinstance(split, pre_tokenizers.ByteLevel) and settings.add_prefix_space is not None:
        split.add_prefix_space = settings.add_prefix_space
        backend.pre_tokenizer = split


def tidy_decoded(backend: tokenizers.Tokenizer) -> None:
    """Have decoded texts tidied; those of merged pieces have their spaces where they belong."""
    if isinstance(backend.model, models.BPE):
        return
    steps = [decoders.Replace(*pair) for pair in _TIDY.items()]
    given = [backend.decoder] if backend.decoder is not None else []
    backend.decoder = decoders.Sequence([*given, decoders.Fuse(), *steps])


def keep_names_ordinary(tokenizer: Tokenizer) -> None:
    """Cut texts inside of names of special tokens that their model would take for the tokens."""
    backend = tokenizer.backend
    special = {
        token_id: token.content
        for token_id, token in backend.get_added_tokens_decoder().items()
        if token.special
    }
    found = [name for token_id, name in special.items() if token_id in tokenizer.encode(name)]
    unknown = tokenizer.role("unknown")
    found = [name for name in found if backend.token_to_id(name) != unknown and len(name) > 1]
    if not found:
        return
    ordinary = (p for p in backend.get_vocab(with_added_tokens=False) if p not in special.values())
    apart = refuse_panics(found, ordinary)
    assert apart is not None
    given = [backend.pre_tokenizer] if backend.pre_tokenizer is not None else []
    backend.pre_tokenizer = pre_tokenizers.Sequence([*given, apart])
