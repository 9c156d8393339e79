"""A published tokenizer.json, and the changes that the configuration beside it makes."""

import base64
import json
from typing import Any

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

from ..backend_errors import file_errors
from ..limits import parse_json
from ..special import OUT_OF_VOCABULARY
from ..tokenizer import Tokenizer
from .added import (
    LANGUAGE_AFFIXES,
    add_tokens,
    collect_added_tokens,
    set_bos_and_eos,
    set_language_affix,
)
from .character_table import check_charsmap
from .files import Folder, TokenizerConfig
from .guard import split_inside_names

# Replacements of clean_up_tokenization_spaces in decoded (English) texts, in order.
_CLEANUP = {
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


def read_json(folder: Folder, name: str, settings: TokenizerConfig) -> tokenizers.Tokenizer:
    """Read a tokenizer.json and apply the configured tokens, affixes and normalization."""
    path = str(folder.path / name)
    backend = parse_json(folder.text(name), name=path)
    with file_errors(path):
        _check_normalizer(backend, path)
        _set_normalization(backend, settings)
        if backend.token_to_id(OUT_OF_VOCABULARY) is None:  # else it is ours, and complete
            add_tokens(backend, collect_added_tokens(folder, settings, {}), folder)
        set_bos_and_eos(backend, settings, {})
        family = (settings.tokenizer_class or "").removesuffix("Fast")
        if settings.src_lang is not None and family in LANGUAGE_AFFIXES:
            set_language_affix(backend, settings, family)
    return backend


def _check_normalizer(backend: tokenizers.Tokenizer, path: str) -> None:
    """Raise TokenizerError for tables of characters with which a text would crash the library."""
    if backend.normalizer is None:
        return
    pending: list[Any] = [json.loads(backend.normalizer.__getstate__())]
    while pending:
        step = pending.pop()
        pending += step.get("normalizers", [])
        if step["type"] == "Precompiled":
            check_charsmap(base64.b64decode(step["precompiled_charsmap"]), name=path)


def _set_normalization(backend: tokenizers.Tokenizer, settings: TokenizerConfig) -> None:
    """Let the configuration override tokenizer.json, as BERT's and GPT-2's classes do."""
    normalizer = backend.normalizer
    if isinstance(normalizer, normalizers.BertNormalizer):
        if settings.do_lower_case is not None:
            normalizer.lowercase = settings.do_lower_case
        if settings.strip_accents is not None:
            normalizer.strip_accents = settings.strip_accents
        if settings.tokenize_chinese_chars is not None:
            normalizer.handle_chinese_chars = settings.tokenize_chinese_chars
        backend.normalizer = normalizer
    pre_tokenizer = backend.pre_tokenizer
    if (
        isinstance(pre_tokenizer, pre_tokenizers.ByteLevel)
        and settings.add_prefix_space is not None
    ):
        pre_tokenizer.add_prefix_space = settings.add_prefix_space
        backend.pre_tokenizer = pre_tokenizer


def clean_up_decoded(backend: tokenizers.Tokenizer) -> None:
    """Clean up spaces in decoded texts, except for BPE, whose pieces have exact spaces."""
    if isinstance(backend.model, models.BPE):
        return
    steps = [decoders.Replace(*pair) for pair in _CLEANUP.items()]
    decoder = [backend.decoder] if backend.decoder is not None else []
    backend.decoder = decoders.Sequence([*decoder, decoders.Fuse(), *steps])


def split_special_token_names(tokenizer: Tokenizer) -> None:
    """Split a text inside the names of special tokens that the model would map to the tokens."""
    backend = tokenizer.backend
    special = {
        token_id: token.content
        for token_id, token in backend.get_added_tokens_decoder().items()
        if token.special
    }
    names = [name for token_id, name in special.items() if token_id in tokenizer.encode(name)]
    unknown = tokenizer.role("unknown")
    names = [name for name in names if backend.token_to_id(name) != unknown and len(name) > 1]
    if not names:
        return
    ordinary = (p for p in backend.get_vocab(with_added_tokens=False) if p not in special.values())
    splitter = split_inside_names(names, ordinary)
    assert splitter is not None
    present = [backend.pre_tokenizer] if backend.pre_tokenizer is not None else []
    backend.pre_tokenizer = pre_tokenizers.Sequence([*present, splitter])
