"""Writers of model folders: our own format, published ones, CTranslate2's."""

from .average import average_models
from .convert import MODEL_FORMATS, convert_model
from .published import PUBLISHED, published_family
from .save import model_card, save_model

__all__ = [
    "MODEL_FORMATS",
    "PUBLISHED",
    "average_models",
    "convert_model",
    "model_card",
    "published_family",
    "save_model",
]
