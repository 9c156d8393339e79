"""What is no model of ours is named for what it is, with what to do."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from checkpoints import CheckpointError
from tests.families.published import edit, make
from transformer.loading import find_model, inspect_folder

LLAMA = {"model_type": "llama", "hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 8}
LLAMA |= {"num_hidden_layers": 1, "vocab_size": 10}
LORA = {"base_model_name_or_path": "owner/base", "peft_type": "LORA"}
CT2 = {"add_source_bos": False, "bos_token": "<s>", "unk_token": "<unk>"}

MODULES = [{"type": f"sentence_transformers.{k}"} for k in ("WordEmbeddings", "Pooling")]

# Files by name: JSON, or anything.
FOLDERS: list[tuple[str, dict[str, Any], str]] = [
    ("adapter", {"adapter_config.json": LORA, "adapter_model.safetensors": ""}, "owner/base"),
    (
        "adapter beside a model",
        {
            "adapter_config.json": LORA,
            "adapter_model.safetensors": "",
            "config.json": LLAMA,
            "model.safetensors": "",
        },
        r"is an adapter \(LoRA.*merge it into its base model first",
    ),
    *(
        (
            f"{name} beside a model",
            {name: "", "config.json": LLAMA, "model.safetensors": ""},
            r"is an adapter \(LoRA.*merge it into its base model first",
        )
        for name in (
            "adapter_model.safetensors.index.json",
            "adapter_model-00001-of-00002.safetensors",
            "adapter_model.h5",
            "pytorch_adapter.bin",
        )
    ),
    ("GGUF", {"llama-q4.gguf": "GGUF"}, "is a GGUF model"),
    ("GGUF with a config", {"llama-q4.gguf": "GGUF", "config.json": LLAMA}, "is a GGUF model"),
    (
        "CTranslate2",
        {"config.json": CT2, "model.bin": "", "shared_vocabulary.json": ""},
        "is a CTranslate2 model.*converted from",
    ),
    ("CTranslate2, old", {"model.bin": "", "vocab.txt": ""}, "is a CTranslate2 model"),
    ("diffusers", {"model_index.json": {"_class_name": "StableDiffusion"}}, "diffusers pipeline"),
    ("diffusers' part", {"config.json": {"_class_name": "UNet2DConditionModel"}}, "diffusers"),
    ("ONNX", {"config.json": LLAMA, "model.onnx": ""}, "is an ONNX model"),
    ("ONNX in a folder", {"config.json": LLAMA, "onnx/model.onnx": ""}, "is an ONNX model"),
    ("Lightning", {"epoch=3.ckpt": ""}, "PyTorch Lightning"),
    ("NeMo", {"model.nemo": ""}, "is a NeMo model"),
    ("TensorFlow", {"config.json": LLAMA, "tf_model.h5": ""}, "is a TensorFlow model"),
    ("Flax", {"config.json": LLAMA, "flax_model.msgpack": ""}, "is a Flax model"),
    ("OpenVINO", {"config.json": LLAMA, "openvino_model.xml": ""}, "is a compiled model"),
    ("Meta's", {"params.json": {"dim": 8}, "consolidated.00.pth": ""}, "format of its maker"),
    ("Marian's", {"model.npz": "", "decoder.yml": ""}, "a model of Marian"),
    ("fairseq", {"checkpoint_best.pt": "", "dict.de.txt": ""}, "checkpoint of PyTorch"),
    ("tokenizer", {"tokenizer.json": "{}"}, "is a tokenizer without a model"),
    ("SentencePiece", {"spm.model": "", "spm.vocab": ""}, "is a tokenizer without a model"),
    ("no config", {"model.safetensors": ""}, "has weights, but no config.json"),
    ("another name", {"config.json": LLAMA, "model.fp16.safetensors": ""}, "rename it"),
    (
        "shards without their index",
        {"config.json": LLAMA, "model-00001-of-00002.safetensors": ""},
        r"has parts of weights .* but not their index \(model.safetensors.index.json or",
    ),
    (
        "old shards without their index",
        {"config.json": LLAMA, "pytorch_model-00001-of-00002.bin": ""},
        "has parts of weights .* but not their index",
    ),
    (
        "a sentence model of word vectors",
        {"modules.json": MODULES, "0_WordEmbeddings/config.json": {}},
        "is a sentence model of WordEmbeddings, Pooling; only those of a Transformer",
    ),
    ("a folder of models", {"a/config.json": LLAMA, "b/config.json": LLAMA}, "has some: a, b"),
    ("no weights", {"config.json": LLAMA}, "has no weights; looked for"),
    ("empty", {"notes.txt": ""}, "is no model folder: it has no config.json"),
]


def lay(folder: Path, files: dict[str, Any]) -> None:
    for name, contents in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        text = contents if isinstance(contents, str) else json.dumps(contents)
        (folder / name).write_text(text)


@pytest.mark.parametrize(("files", "words"), [f[1:] for f in FOLDERS], ids=[f[0] for f in FOLDERS])
def test_a_folder_of_another_program_is_named(files: dict, words: str, tmp_path: Path) -> None:
    lay(tmp_path, files)
    with pytest.raises(CheckpointError, match=words) as refused:
        inspect_folder(find_model(tmp_path))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("model.gguf", "is a GGUF model"),
        ("last.ckpt", "PyTorch Lightning"),
        ("model.safetensors", "is one file of a model: give its folder"),
        ("config.json", "is one file of a model: give its folder"),
        ("notes.txt", "is a file; give a model's"),
    ],
)
def test_a_file_is_named(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("")
    with pytest.raises(CheckpointError, match=words):
        find_model(tmp_path / name)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "gptq, 4 bits"),
        ({"quantization_config": {"quant_method": "awq", "bits": 4}}, "awq, 4 bits"),
        ({"quantization_config": {"load_in_4bit": True, "quant_method": "bitsandbytes"}}, "4 bits"),
        ({"quantization_config": {"quant_method": "compressed-tensors"}}, "compressed-tensors"),
        ({"quantization_config": {"quant_method": "fp8"}}, r"quantized \(quantization_config: fp8"),
        ({"quantization": {"group_size": 64, "bits": 4}}, r"quantized \(quantization: 4 bits"),
        ({"model_type": "mixtral", "num_local_experts": 8}, "'mixtral', a mixture of experts"),
        ({"model_type": "whisper", "num_mel_bins": 80}, "'whisper', a model of sound"),
        ({"model_type": "vit", "image_size": 224}, "'vit', a model of images"),
        ({"model_type": "llava", "vision_config": {"x": 1}}, "'llava', a model of images"),
        ({"model_type": "mamba", "state_size": 16}, "'mamba', a state-space"),
        ({"model_type": "encoder-decoder", "encoder": {"a": 1}}, "two models with config"),
        ({"model_type": "falcon"}, "model_type is 'falcon'; allowed: bart"),
        ({"num_local_experts": 8}, "the option num_local_experts = 8 is not known"),
        ({"architectures": ["X"], "auto_map": {"AutoModel": "x.Y"}}, "no code from a model"),
    ],
)
def test_a_network_of_another_kind_is_named(options: dict, words: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**LLAMA, **options}))
    save_file({"lm_head.weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=words):
        inspect_folder(tmp_path)


ONE = torch.zeros(1)


@pytest.mark.parametrize(
    ("family", "keep", "add", "words"),
    [
        ("bert", "", "classifier.weight", "BertForMaskedLM; heads of these are known: BertForSeq"),
        ("t5", "", "classifier.weight", "a classifier's head"),
        ("bart", "", "classification_head.dense.weight", "a classifier's head"),
        ("bert", "", "qa_outputs.weight", "a classifier's head"),
        ("gpt2", "", "score.weight", "GPT2LMHeadModel; heads of these are known: GPT2ForSeq"),
        ("llama", "", "v_head.summary.weight", "a classifier's head"),
        ("llama", "", "model.layers.0.mlp.up_proj.qweight", "quantized weights .GPTQ or AWQ"),
        ("llama", "", "model.layers.0.mlp.up_proj.weight.absmax", "bitsandbytes"),
        ("llama", "", "model.layers.0.mlp.up_proj.weight_scale", "compressed-tensors or fp8"),
        ("llama", "", "base_model.model.a.lora_A.weight", "an adapter"),
        ("mistral", "", "model.layers.0.mlp.experts.0.w1.weight", "a mixture of experts"),
        ("llama", "", "vision_tower.x.weight", "a model of images or sound"),
        ("bart", "encoder", "", "a bare encoder: they lack the decoder"),
        ("marian", "encoder", "", "a bare encoder: they lack the decoder"),
        ("t5", "encoder", "", "a bare encoder: they lack the decoder"),
        ("bart", "decoder", "", "a bare decoder: they lack the encoder"),
        ("llama", "bare", "", "a bare model without its output layer .lm_head"),
        ("mistral", "bare", "", "a bare model without its output layer .lm_head"),
    ],
)
def test_weights_of_another_kind_or_of_a_part_are_named(
    family: str, keep: str, add: str, words: str, tmp_path: Path
) -> None:

    make(family, 0, tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    if keep == "bare":
        names = {name: name.removeprefix("model.") for name in tensors if name != "lm_head.weight"}
        tensors = {new: tensors[old] for old, new in names.items()}
    elif keep:
        tensors = {n: t for n, t in tensors.items() if keep in n.split(".") or "shared" in n}
    save_file({**tensors, **({add: ONE} if add else {})}, path)
    with pytest.raises(CheckpointError, match=words):
        inspect_folder(tmp_path)


@pytest.mark.parametrize("family", ["gpt2", "bart", "bert", "roberta"])
def test_a_bare_model_that_is_whole_all_the_same_loads(family: str, tmp_path: Path) -> None:
    """Its output is its embedding, or it is an encoder."""

    make(family, 0, tmp_path)
    path, prefixes = tmp_path / "model.safetensors", ("transformer.", "model.", "bert.", "roberta.")
    tensors = {name: t for name, t in load_file(path).items() if name.startswith(prefixes)}
    save_file({name.partition(".")[2]: t for name, t in tensors.items()}, path)
    edit(tmp_path / "config.json", architectures=["Bare"])
    inspect_folder(tmp_path)


def test_a_training_checkpoint_is_named(tmp_path: Path) -> None:
    make("gpt2", 0, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save({"epoch": 1, "state_dict": {"a": ONE}}, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"epoch, state_dict: a training checkpoint"):
        inspect_folder(tmp_path)
