"""The one place where folder, configuration, model and tokenizer meet."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

from checkpoints import (
    WEIGHTS,
    CheckpointError,
    average_weights,
    load_tensors,
    read_json,
    save_tensors,
    to_json,
    verify,
    write_folder,
)
from tokenizer import Tokenizer

from .config import ConfigError, TransformerConfig, config_from_fields, config_to_fields
from .model import Transformer
from .parameters import count_parameters

CONFIG, GENERATION, TOKENIZER, CARD = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "README.md",
)
RUN = "run.json"  # in a run's folder: which checkpoint is best, which is last
MODEL_TYPE, FORMAT_VERSION = "transduce", 1


class GenerationConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The ids that decoding starts, ends and pads with; Hugging Face's names."""

    bos_token_id: int
    eos_token_id: int
    pad_token_id: int
    decoder_start_token_id: int | None = None


@dataclass(frozen=True)
class LoadedModel:
    """A model that is ready to run, and what it needs to read and write text."""

    model: Transformer
    tokenizer: Tokenizer
    generation: GenerationConfig
    folder: Path

    @property
    def config(self) -> TransformerConfig:
        """The network's configuration."""
        return self.model.config

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.embedding.weight.device

    @property
    def start_id(self) -> int:
        """What a decoder is given before the first token."""
        start = self.generation.decoder_start_token_id
        return self.generation.bos_token_id if start is None else start


def choose_device(name: str) -> torch.device:
    """`auto` is a GPU where there is one. Raises ConfigError for a device that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(
            f"no device is called {name!r}; allowed: auto, cpu, cuda, cuda:N"
        ) from None
    if device.type not in {"cpu", "cuda"}:
        raise ConfigError(f"device {name} is not supported; allowed: auto, cpu, cuda, cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"device {name}: {torch.cuda.device_count()} CUDA devices were found")
    return device


def find_model(path: Path) -> Path:
    """The model folder meant by a path: itself, or a run's best checkpoint, or its last.

    Raises CheckpointError saying what was found instead.
    """
    if (path / CONFIG).is_file():
        return path
    if (path / RUN).is_file():
        pointers = read_json(path / RUN)
        name = pointers.get("best") or pointers.get("last")
        if isinstance(name, str) and (path / name / CONFIG).is_file():
            return path / name
        raise CheckpointError(f"the run {path} has no checkpoint yet")
    if not path.exists():
        raise CheckpointError(f"there is no folder {path}; give a model's or a run's folder")
    raise CheckpointError(f"{path} is no model folder: it has no {CONFIG}")


def read_config(folder: Path) -> TransformerConfig:
    """The configuration in a model folder. Raises CheckpointError."""
    fields = read_json(folder / CONFIG)
    kind, version = fields.pop("model_type", None), fields.pop("format_version", 0)
    if kind != MODEL_TYPE:
        raise CheckpointError(f"{folder / CONFIG}: model_type is {kind!r}; allowed: {MODEL_TYPE}")
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{folder} has format version {version}; this program reads {FORMAT_VERSION}"
        )
    try:
        return config_from_fields(fields)
    except ConfigError as error:
        raise CheckpointError(f"{folder / CONFIG}: {error}") from None


def load_model(
    path: Path, *, device: str = "auto", dtype: torch.dtype = torch.float32
) -> LoadedModel:
    """Load a model or run folder, ready to decode. Raises CheckpointError or TokenizerError."""
    place = choose_device(device)
    folder = find_model(path)
    verify(folder)
    config = read_config(folder)
    if not (folder / TOKENIZER).is_file():
        raise CheckpointError(f"{folder} has no {TOKENIZER}")
    tokenizer = Tokenizer.load(folder / TOKENIZER)
    if tokenizer.vocab_size > config.vocab_size:
        raise CheckpointError(
            f"{folder}: the tokenizer has {tokenizer.vocab_size:,} tokens, "
            f"the model's vocabulary {config.vocab_size:,}; they do not belong together"
        )
    model = build(config, load_tensors(folder / WEIGHTS), name=str(folder / WEIGHTS))
    model = model.to(device=place, dtype=dtype).eval().requires_grad_(False)
    generation = _read_generation(folder, tokenizer)
    return LoadedModel(model, tokenizer, generation, folder)


def build(config: TransformerConfig, weights: Mapping[str, Tensor], *, name: str) -> Transformer:
    """A model that takes over these tensors as its weights, without a first initialisation.

    Raises CheckpointError where they are not exactly the configuration's.
    """
    with torch.device("meta"):
        model = Transformer(config)
    wanted = {key: tensor.shape for key, tensor in model.state_dict().items()}
    missing, unknown = wanted.keys() - weights.keys(), weights.keys() - wanted.keys()
    if missing or unknown:
        what = f"lacks {min(missing)}" if missing else f"has {min(unknown)}, which is unknown"
        raise CheckpointError(f"{name} does not fit its {CONFIG}: it {what}")
    for key, shape in wanted.items():
        if weights[key].shape != shape:
            raise CheckpointError(
                f"{name} does not fit its {CONFIG}: {key} is {tuple(weights[key].shape)}, "
                f"not {tuple(shape)}"
            )
    model.load_state_dict(weights, assign=True)
    return model


def save_model(
    folder: Path,
    config: TransformerConfig,
    weights: Mapping[str, Tensor],
    tokenizer: Tokenizer,
    *,
    card: Mapping[str, Any],
) -> None:
    """Fill a folder with all that a model needs to run. Use it inside `write_folder`."""
    head = {"model_type": MODEL_TYPE, "format_version": FORMAT_VERSION}
    write = _writer(folder)
    write(CONFIG, to_json({**head, **config_to_fields(config)}))
    write(GENERATION, to_json(msgspec.to_builtins(generation_config(tokenizer))))
    write(TOKENIZER, tokenizer.to_json())
    write(CARD, model_card(config, card))
    save_tensors(folder / WEIGHTS, weights)


def average_models(paths: Sequence[Path], out: Path, *, last: int | None = None) -> list[Path]:
    """Write a model whose weights are the mean of others'; of a run, its (last) checkpoints'.

    Returns the folders averaged. Raises CheckpointError where they are not of one kind.
    """
    folders: list[Path] = []
    for path in paths:
        kept = sorted((path / "checkpoints").glob("step-*"))
        folders += kept[-last:] if kept and last else kept or [find_model(path)]
    for folder in folders:
        verify(folder)
    config = read_config(folders[0])
    tokenizer = Tokenizer.load(folders[0] / TOKENIZER)
    for folder in folders[1:]:
        same = (folder / TOKENIZER).read_bytes() == (folders[0] / TOKENIZER).read_bytes()
        if read_config(folder) != config or not same:
            raise CheckpointError(f"{folder} is another model than {folders[0]}: no mean of both")
    weights = average_weights(folders)
    card = {"averaged": ", ".join(folder.name for folder in folders)}
    write_folder(out, lambda place: save_model(place, config, weights, tokenizer, card=card))
    return folders


def generation_config(tokenizer: Tokenizer) -> GenerationConfig:
    """The ids that the tokenizer's special tokens give. Raises TokenizerError."""
    begin, end = tokenizer.need("begin"), tokenizer.need("end")
    pad = tokenizer.role("pad")
    return GenerationConfig(
        bos_token_id=begin, eos_token_id=end, pad_token_id=end if pad is None else pad
    )


def model_card(config: TransformerConfig, facts: Mapping[str, Any]) -> str:
    """A README.md for a model: what it is and how it came about."""
    verb = "translate" if config.shape == "encoder-decoder" else "generate"
    rows = {"shape": config.shape, "parameters": f"{count_parameters(config):,}", **facts}
    table = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
    return f"# A {config.shape} Transformer\n\n| | |\n|---|---|\n{table}\n\n```\n\
transduce {verb} -m .\n```\n"


def _writer(folder: Path) -> Callable[[str, str], int]:
    return lambda name, text: (folder / name).write_text(text, encoding="utf-8")


def _read_generation(folder: Path, tokenizer: Tokenizer) -> GenerationConfig:
    if not (folder / GENERATION).is_file():
        return generation_config(tokenizer)
    try:
        return msgspec.convert(read_json(folder / GENERATION), GenerationConfig)
    except msgspec.ValidationError as error:
        raise CheckpointError(f"{folder / GENERATION}: {error}") from None
