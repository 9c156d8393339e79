"""Writers of model folders: our own format, published ones, CTranslate2's."""

from .average import average_models
from .convert import PUBLISHED, TARGETS, convert_model
from .save import model_card, save_model

__all__ = ["PUBLISHED", "TARGETS", "average_models", "convert_model", "model_card", "save_model"]
