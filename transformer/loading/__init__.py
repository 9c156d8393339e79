"""Models from folders: where configuration, weights, tokenizer and settings meet."""

from .chat import ChatTemplate, Message, read_chat_template
from .chat_encoding import encode_chat
from .generation_config import GENERATION, GenerationConfig, generation_config
from .load import LoadedModel, build, choose_device, equip, load_model
from .model_folder import CONFIG, RUN, Description, describe, find_model, read_config
from .pooling_config import Pooling, read_pooling
from .summary import show_model

__all__ = [
    "CONFIG",
    "GENERATION",
    "RUN",
    "ChatTemplate",
    "Description",
    "GenerationConfig",
    "LoadedModel",
    "Message",
    "Pooling",
    "build",
    "choose_device",
    "describe",
    "encode_chat",
    "equip",
    "find_model",
    "generation_config",
    "load_model",
    "read_chat_template",
    "read_config",
    "read_pooling",
    "show_model",
]
