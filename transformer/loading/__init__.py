"""The one place where folder, configuration, model and tokenizer meet."""

from .chat import ChatTemplate, Message, read_chat_template
from .chat_encoding import encode_chat
from .converting import PUBLISHED, TARGETS, convert_model
from .folders import CONFIG, RUN, Description, describe, find_model, read_config
from .generation import GENERATION, GenerationConfig, generation_config
from .models import LoadedModel, build, choose_device, finite, load_model
from .pooling import Pooling, read_pooling
from .saving import average_models, model_card, save_model
from .showing import show_model

__all__ = [
    "CONFIG",
    "GENERATION",
    "PUBLISHED",
    "RUN",
    "TARGETS",
    "ChatTemplate",
    "Description",
    "GenerationConfig",
    "LoadedModel",
    "Message",
    "Pooling",
    "average_models",
    "build",
    "choose_device",
    "convert_model",
    "describe",
    "encode_chat",
    "find_model",
    "finite",
    "generation_config",
    "load_model",
    "model_card",
    "read_chat_template",
    "read_config",
    "read_pooling",
    "save_model",
    "show_model",
]
