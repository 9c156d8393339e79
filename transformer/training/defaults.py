"""Defaults of the recipes of each objective, the lowest layer, as data. Imports no torch."""

from typing import Any

DEFAULTS: dict[str, dict[str, dict[str, Any]]] = {
    "translation": {
        "model": {"preset": "translate-small"},
        "training": {"label_smoothing": 0.1},
        "validation": {"metric": "bleu"},
    },
    "instructions": {
        "data": {"max_tokens": 1024},
        "model": {"preset": "write-small"},
        "tokenizer": {"kind": "byte-bpe"},
        "training": {"schedule": "cosine", "warmup": 100, "weight_decay": 0.1, "beta2": 0.95},
    },
    "language-model": {
        "model": {"preset": "write-small"},
        "tokenizer": {"kind": "byte-bpe"},
        "training": {"schedule": "cosine", "warmup": 100, "weight_decay": 0.1, "beta2": 0.95},
    },
    "classification": {
        "model": {"preset": "bert-tiny"},
        "training": {"schedule": "linear", "warmup": 100, "weight_decay": 0.01},
        "validation": {"metric": "accuracy"},
    },
    "tagging": {
        "model": {"preset": "bert-tiny"},
        "training": {"schedule": "linear", "warmup": 100, "weight_decay": 0.01},
        "validation": {"metric": "span_f1"},
    },
    "masked-lm": {
        "model": {"preset": "bert-tiny"},
        "training": {"schedule": "linear", "warmup": 500, "weight_decay": 0.01},
    },
    "span-corruption": {
        "model": {"preset": "t5-tiny"},
        "training": {"warmup": 500},
    },
    "denoising": {
        "model": {"preset": "bart-tiny"},
        "training": {"schedule": "linear", "warmup": 500, "weight_decay": 0.01},
    },
    "prefix-lm": {
        "model": {"preset": "t5-tiny"},
        "training": {"warmup": 500},
    },
}
METRIC_NAMES = (
    *("loss", "bleu", "chrf", "accuracy", "f1_macro", "f1_micro", "pearson", "spearman", "span_f1"),
)
# The sections of recipes that one objective alone reads.
NOISE_SECTIONS = {
    "masked-lm": "masking",
    "span-corruption": "spans",
    "denoising": "denoising",
}
