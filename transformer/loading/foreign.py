"""Models of other programs and of other kinds, told by what lies in their folder.

Nothing of them is read; the message names what was got and what to do.
"""

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase, translate
from pathlib import Path
from typing import Any, NamedTuple

from checkpoints import WEIGHT_FILES, CheckpointError, Weights, read_json
from tokenizer import TOKENIZER_FILES

from ..adapters.peft_config import ADAPTER_CONFIG
from ..families import Family
from ..folder_layout import has_any
from .pooling_config import has_pooling, module_types

DIFFUSERS_INDEX = "model_index.json"
_CONFIG = "config.json"
_EXPORT = "give the model as transformers saves it (config.json and model.safetensors)"


class _ForeignFormat(NamedTuple):
    """A format, by patterns of the names of its files."""

    patterns: str
    what: str
    advice: str = _EXPORT


_ADAPTER_WEIGHTS = "adapter_model.* adapter_model-* pytorch_adapter.*"

# In the order in which they are looked for.
_FORMATS = (
    _ForeignFormat(
        f"{ADAPTER_CONFIG} {_ADAPTER_WEIGHTS}",
        "an adapter (LoRA or the like), which is part of a model",
        "name its base with -m and it with --adapter, or merge it into its base model first "
        "(transduce checkpoint convert BASE --adapter ADAPTER -o MERGED)",
    ),
    _ForeignFormat("model_index.json", "a diffusers pipeline, which makes no text"),
    _ForeignFormat("*.gguf *.ggml ggml-*.bin", "a GGUF model (llama.cpp)"),
    _ForeignFormat("model.bin", "a CTranslate2 model", "give the model that it was converted from"),
    _ForeignFormat("*.ckpt */*.ckpt", "a training checkpoint (PyTorch Lightning's or the like)"),
    _ForeignFormat("*.nemo", "a NeMo model"),
    _ForeignFormat("*.onnx onnx/*.onnx", "an ONNX model"),
    _ForeignFormat("openvino_*.xml *.engine *.tflite *.mlmodel *.mlpackage", "a compiled model"),
    _ForeignFormat("tf_model.h5 *.h5 *.keras saved_model.pb variables/*", "a TensorFlow model"),
    _ForeignFormat("flax_model.msgpack flax_model-*.msgpack *.msgpack", "a Flax model"),
    _ForeignFormat("rust_model.ot", "a model of rust-bert"),
    _ForeignFormat(
        "consolidated.*.pth consolidated.pth params.json consolidated*.safetensors",
        "a model in the format of its maker (Meta's or Mistral's)",
    ),
    _ForeignFormat("*.npz decoder.yml *.decoder.yml", "a model of Marian or MLX in NumPy's format"),
    _ForeignFormat("*.pt *.pth", "a checkpoint of PyTorch (fairseq's, OpenNMT's or the like)"),
)
_SHARDS = ("*-of-*.safetensors", "*-of-*.bin")
_TOKENIZER_ONLY = ("*.model", "*.spm", "vocab.*", *TOKENIZER_FILES)

# Tensors that only models of another kind have, by what these are.
_OTHER_TENSORS = {
    "an adapter (LoRA), to be merged into its base model first": "*.lora_A.* *.lora_B.*",
    "quantized weights (GPTQ or AWQ)": "*.qweight *.qzeros *.g_idx",
    "quantized weights (bitsandbytes)": "*.SCB *.absmax *.quant_map *.quant_state.*",
    "quantized weights (compressed-tensors or fp8)": """*.weight_packed *.weight_scale
        *.weight_scale_inv *.input_scale""",
    "quantized weights (MLX)": "*.scales *.biases",
    "a mixture of experts": "*.experts.* *.block_sparse_moe.* *.router.*",
    "a classifier's head": """classifier.* *.classifier.* score.* classification_head.*
        qa_outputs.* sequence_summary.* multiple_choice_head.* logits_proj.* v_head.* *.v_head.*
        value_head.* reward_head.*""",
    "a model of images or sound": """vision_model.* *.vision_model.* vision_tower.*
        *.vision_tower.* visual.* audio_tower.* multi_modal_projector.* *.patch_embed.*""",
}
# One expression for each: pattern by pattern, a hundred thousand names take four times as long.
_OTHER_NAMES = {
    what: re.compile("|".join(map(translate, patterns.split())))
    for what, patterns in _OTHER_TENSORS.items()
}


def describe_foreign(path: Path) -> str | None:
    """Return a message about a path without a model that holds something known, or None."""
    if path.is_file():
        return _describe_file(path)
    found = next((form for form in _FORMATS if has_any(path, form.patterns.split())), None)
    if found is not None:
        return _describe_format(path, found)
    if not (path / _CONFIG).is_file():
        return _describe_without_config(path)
    others = sorted([*path.glob("*.safetensors"), *path.glob("*.bin")])
    if not others or has_any(path, WEIGHT_FILES):
        return None
    if has_any(path, _SHARDS):
        return (
            f"{path} has parts of weights ({others[-1].name}), but not their index "
            f"({' or '.join(name for name in WEIGHT_FILES if name.endswith('.index.json'))}): "
            "fetch it too"
        )
    return (
        f"{path} has no weights under a name that is read ({', '.join(WEIGHT_FILES)}), but "
        f"{others[-1].name}: rename it"
    )


def _describe_without_config(path: Path) -> str | None:
    modules = module_types(path)
    if modules:
        return (
            f"{path} is a sentence model of {', '.join(modules)}; only those of a Transformer, "
            "in the folder or in one of its own, are read"
        )
    if has_any(path, WEIGHT_FILES):
        return f"{path} has weights, but no {_CONFIG}, which says what network they are of"
    if has_any(path, _TOKENIZER_ONLY):
        return f"{path} is a tokenizer without a model: it has no {_CONFIG} and no weights"
    folders = sorted(p.parent.name for p in path.glob(f"*/{_CONFIG}"))
    return f"{path} is no model folder, but has some: {', '.join(folders[:5])}" if folders else None


def _describe_file(path: Path) -> str:
    if path.name == _CONFIG or _matches(path.name, [*WEIGHT_FILES, "*.safetensors", "*.bin"]):
        return f"{path} is one file of a model: give its folder, {path.parent}"
    formats = (f for f in _FORMATS if _matches(path.name, f.patterns.split()))
    found = next(formats, None)
    if found is None:
        return f"{path} is a file; give a model's or a run's folder"
    return _describe_format(path, found)


def require_weights(folder: Path) -> None:
    """Raise CheckpointError for a folder whose weights are in another program's format."""
    if not has_any(folder, WEIGHT_FILES):
        message = describe_foreign(folder)
        if message is not None:
            raise CheckpointError(message)


def refuse_foreign_config(folder: Path, options: Mapping[str, Any]) -> None:
    """Raise CheckpointError for a folder of another program, and for a network of another kind."""
    source = folder / _CONFIG
    if has_any(folder, _ADAPTER_WEIGHTS.split()):  # the configuration alone stays behind in merging
        raise CheckpointError(_describe_format(folder, _FORMATS[0]))
    for name in ("quantization_config", "quantization", "compression_config"):
        if options.get(name):
            raise CheckpointError(
                f"{source}: the weights are quantized ({name}: {_method(options[name])}), which is "
                "not supported; give the model in float32, bfloat16 or float16"
            )
    if "_class_name" in options and "model_type" not in options:
        raise CheckpointError(f"{folder} is part of a diffusers pipeline, which makes no text")
    require_weights(folder)


def refuse_foreign_tensors(weights: Weights, family: Family) -> None:
    """Raise CheckpointError for tensors that only models of another kind have.

    `weights` have the names of the file.
    """
    own = {module for head in family.label_heads.values() for module in head.modules}
    others = [name for name in weights if own.isdisjoint(name.split("."))]
    for what, pattern in _OTHER_NAMES.items():
        match = next(filter(pattern.match, others), None)
        if match is not None:
            raise CheckpointError(
                f"the weights in {weights.folder} have {_shown(match)}: {what}; only plain text "
                "models are read, with their language-model head, with a head over labels that is "
                "known for their family, or without any"
            )


def refuse_partial_model(weights: Weights, family: Family, options: Mapping[str, Any]) -> None:
    """Raise CheckpointError for the weights of a part of a model that cannot do its work.

    `weights` have the names of the file.
    """
    parts = {part for name in weights for part in name.split(".")}
    stacks = [stack for stack in family.stacks if stack in parts]
    if len(stacks) == 1 < len(family.stacks):
        (missing,) = set(family.stacks) - set(stacks)
        raise CheckpointError(
            f"the weights in {weights.folder} are a bare {stacks[0]}: they lack the {missing} of "
            f"the {family.architecture} that is read here"
        )
    tied = options.get("tie_word_embeddings")
    tied = family.tied_by_default if tied is None else tied
    headed = parts & {family.prefix[:-1], *family.outside}
    embeds = has_pooling(weights.folder)  # and needs no output
    if not (family.bare_architecture or tied or headed or embeds) and family.prefix:
        raise CheckpointError(
            f"the weights in {weights.folder} are a bare model without its output layer "
            f"({family.outside[0]}), which {_CONFIG} does not tie to the embedding: it can write "
            f"no text; give the {family.architecture}"
        )


def _describe_format(path: Path, form: _ForeignFormat) -> str:
    return f"{path} is {form.what}{_base_model(path)}, which is not read: {form.advice}"


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _base_model(folder: Path) -> str:
    """Return the base model that an adapter names, as an addition to what it is."""
    path = folder / ADAPTER_CONFIG
    name = read_json(path).get("base_model_name_or_path") if path.is_file() else None
    return f" ({_shown(name)})" if isinstance(name, str) and name else ""


def _method(value: Any) -> str:
    """Return the method that a quantization_config names."""
    if isinstance(value, Mapping):
        named = value.get("quant_method") or value.get("quant_algo") or value.get("mode")
        bits = value.get("bits") or (4 if value.get("load_in_4bit") else None)
        shown = [_shown(str(named))] if named else []
        return ", ".join([*shown, *([f"{bits} bits"] if bits else [])]) or "unknown"
    return _shown(str(value))


def _shown(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}…"
