"""From a folder to a model that is ready to run."""

from dataclasses import dataclass
from pathlib import Path

import torch

from checkpoints import CheckpointError, verify
from tokenizer import Tokenizer

from ..config import ConfigError, TransformerConfig
from ..model import Transformer
from ..tables import UnknownNameError
from .folders import Description, describe, find_model
from .generation import GenerationConfig, read_generation

TOKENIZER = "tokenizer.json"


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
        for start in (self.generation.decoder_start_token_id, self.generation.bos_token_id):
            if start is not None:
                return start
        raise ConfigError(
            f"{self.folder} does not say what a decoder starts with (decoder_start_token_id)"
        )


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


def load_model(
    path: Path, *, device: str = "auto", dtype: torch.dtype = torch.float32
) -> LoadedModel:
    """Load a model or run folder, ready to decode. Raises CheckpointError or TokenizerError."""
    place = choose_device(device)
    folder = find_model(path)
    verify(folder)
    described = describe(folder)
    if not (folder / TOKENIZER).is_file():
        raise CheckpointError(f"{folder} has no {TOKENIZER}")
    tokenizer = Tokenizer.load(folder / TOKENIZER)
    config = described.config
    if tokenizer.vocab_size > config.vocab_size:
        raise CheckpointError(
            f"{folder}: the tokenizer has {tokenizer.vocab_size:,} tokens, "
            f"the model's vocabulary {config.vocab_size:,}; they do not belong together"
        )
    generation = read_generation(folder, described.options, tokenizer, config.vocab_size)
    model = build(described, device=place, dtype=dtype)
    return LoadedModel(model, tokenizer, generation, folder)


def build(
    described: Description,
    *,
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float32,
) -> Transformer:
    """The network with the folder's weights, for evaluation: nothing is initialised first, and
    weights that fit as they are stay views of their file.

    Raises CheckpointError where they are not exactly the configuration's.
    """
    try:
        with torch.device("meta"):
            model = Transformer(described.config)
    except (ConfigError, UnknownNameError) as error:
        raise CheckpointError(f"{described.folder}: {error}") from None
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    tensors = described.family.load(described.weights, described.fields, shapes, dtype)
    model.load_state_dict({name: t.to(device or t.device) for name, t in tensors}, assign=True)
    return model.eval().requires_grad_(False)
