"""Keyword arguments of a model's methods: those of the pipelines, as types for editors."""

from pathlib import Path
from typing import Any, TypedDict


class SearchKeywords(TypedDict, total=False):
    """Keyword arguments of all searches: the command line's options; see there."""

    n_best: int
    length_penalty: float | None
    length_penalty_kind: str
    early_stopping: str | None
    beam: int | None
    beam_groups: int
    diversity: float | None
    temperature: float | None
    top_k: int | None
    top_p: float | None
    min_p: float | None
    typical: float | None
    top_n_sigma: float | None
    seed: int | None
    contrastive: float | None
    mbr: int | None
    max_tokens: int | None
    min_tokens: int
    repetition_penalty: float | None
    presence_penalty: float | None
    frequency_penalty: float | None
    no_repeat_ngram: int | None
    bad_word: str | list[str] | None
    suppress: str | list[str] | None
    bias: str | list[str] | None
    stop: str | list[str] | None
    must: str | list[str] | None
    regex: str | None
    choice: str | list[str] | None
    json_schema: str | dict[str, Any] | None  # a schema, or its file
    batch_tokens: int


class TranslateKeywords(SearchKeywords, total=False):
    """Keyword arguments of `Model.translate`."""

    source_language: str | None
    target_language: str | None
    min_ratio: float
    max_ratio: float | None
    coverage_penalty: float
    global_tokens: int | None
    split: bool
    prefix: str
    glossary: str | Path | None
    no_guard: bool


class GenerateKeywords(SearchKeywords, total=False):
    """Keyword arguments of `Model.generate` and `Model.stream`."""

    overflow: str


class ScoreKeywords(TypedDict, total=False):
    """Keyword arguments of `Model.score`."""

    source_language: str | None
    target_language: str | None
    length_penalty: float | None
    length_penalty_kind: str
    batch_tokens: int


class EmbedKeywords(TypedDict, total=False):
    """Keyword arguments of `Model.embed`."""

    pooling: str | None
    normalize: bool | None
    prompt: str | None
    prompt_name: str | None
    global_tokens: int | None
    batch_tokens: int


class ClassifyKeywords(TypedDict, total=False):
    """Keyword arguments of `Model.classify`."""

    top_k: int | None
    threshold: float
    pairs: bool
    global_tokens: int | None
    batch_tokens: int


class TagKeywords(TypedDict, total=False):
    """Keyword arguments of `Model.tag`."""

    words: str
    threshold: float
    global_tokens: int | None
    batch_tokens: int


class FillKeywords(TypedDict, total=False):
    """Keyword arguments of `Model.fill`."""

    top_k: int
    global_tokens: int | None
    batch_tokens: int
