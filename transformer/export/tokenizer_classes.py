"""Tokenizers that transformers reads as those of one class, whatever a folder says of its own."""

from pathlib import Path

from checkpoints import read_json

_CONFIG, _CLASS = "tokenizer_config.json", "tokenizer_class"
# By model_type: AutoTokenizer takes this class, and of tokenizer.json the tokens alone.
_CLASSES = {"qwen2": "Qwen2Tokenizer"}


def notices_on_tokenizer(folder: Path, model_type: str) -> list[str]:
    """Return what to tell of a published folder whose tokenizer others may read as another."""
    expected = _CLASSES.get(model_type)
    path = folder / _CONFIG
    found = read_json(path).get(_CLASS) if path.is_file() else None
    if expected is None or found is None or str(found).removesuffix("Fast") == expected:
        return []
    notice = (
        f"transformers 5 reads the tokenizer of every {model_type} as a {expected}, which may cut "
        f"texts otherwise than this one: use {found}.from_pretrained({str(folder)!r}) there"
    )
    return [notice]
