"""The names that options take, as far as their registries import what is slow; a test compares."""

from transformer.presets import PRESETS
from transformer.training.defaults import DEFAULTS

OBJECTIVE_NAMES = tuple(DEFAULTS)
DTYPES = ("auto", "float32", "bfloat16", "float16", "int8")
STORED_TYPES = ("float32", "bfloat16", "float16", "int8")
TOKENIZER_NAMES = ("bpe", "byte-bpe", "unigram", "wordpiece", "char")
NORMALIZATION_NAMES = ("none", "nfc", "nfkc", "strip-accents")
MODEL_FORMAT_NAMES = (
    *("huggingface", "ctranslate2", "transduce", "gpt2", "llama", "mistral"),
    *("qwen2", "qwen3", "smollm3", "olmo2"),
    *("gemma2", "gemma3_text", "phi3"),
    *("bert", "distilbert", "roberta", "xlm-roberta", "roformer", "longformer", "bart", "led"),
    *("mbart", "pegasus"),
    *("marian", "m2m_100", "t5"),
)
TOKENIZATIONS = (
    *("auto", "13a", "intl", "char", "zh", "ja-mecab", "ko-mecab", "spm", "flores101"),
    *("flores200", "spBLEU-1K", "none"),
)
PRESET_NAMES = tuple(PRESETS)
