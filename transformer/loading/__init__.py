"""Loading of models: configuration, weights, tokenizer and settings of a folder."""

from .generation_config import (
    GENERATION,
    GenerationConfig,
    default_generation_config,
    settings_left_to_user,
)
from .inference import DTYPES, NumberType, choose_dtype, load_for_inference
from .load import (
    LoadedModel,
    attach_tokenizers,
    build_model,
    choose_device,
    load_model,
    read_texts,
)
from .model_folder import (
    CONFIG,
    FolderContents,
    find_folder,
    find_model,
    inspect_folder,
    read_config,
)
from .model_texts import ModelTexts, TextProperties
from .pooling_config import DenseLayer, PoolingConfig, has_pooling, read_pooling_config
from .run_pointers import RunPointers, find_checkpoint, read_pointers, write_pointers
from .summary import summarize_model

__all__ = [
    "CONFIG",
    "DTYPES",
    "GENERATION",
    "DenseLayer",
    "FolderContents",
    "GenerationConfig",
    "LoadedModel",
    "ModelTexts",
    "NumberType",
    "PoolingConfig",
    "RunPointers",
    "TextProperties",
    "attach_tokenizers",
    "build_model",
    "choose_device",
    "choose_dtype",
    "default_generation_config",
    "find_checkpoint",
    "find_folder",
    "find_model",
    "has_pooling",
    "inspect_folder",
    "load_for_inference",
    "load_model",
    "read_config",
    "read_pointers",
    "read_pooling_config",
    "read_texts",
    "settings_left_to_user",
    "summarize_model",
    "write_pointers",
]
