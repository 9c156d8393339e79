"""The Transformer, its training and its decoding: `from transformer import Transformer`."""

from typing import TYPE_CHECKING, Any

from .config import TransformerConfig
from .errors import ConfigError
from .memory import limit_kernel_caches
from .presets import PRESETS, preset_config

if TYPE_CHECKING:
    from .model import Transformer

__all__ = ["PRESETS", "ConfigError", "Transformer", "TransformerConfig", "preset_config"]

limit_kernel_caches()


def __getattr__(name: str) -> Any:
    """Import what needs torch on first access, so that the rest starts at once."""
    if name == "Transformer":
        from .model import Transformer  # noqa: PLC0415

        return Transformer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
