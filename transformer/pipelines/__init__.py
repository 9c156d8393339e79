"""Text in, text out: the only package that knows both loaded models and lines of text."""

from .comparison import Difference, compare_models
from .embedding import POOLINGS, embed_lines
from .engines import build_engines, one_engine_per_core, plain_engine
from .generation import GenerationOptions, encode_prompt, generate, stream, stream_text
from .records import Answer, IterableSource, Line, LineSource, Output
from .search_settings import default_beam_size, search_options
from .speculation import Speculation, speculative_search
from .translation import TranslationOptions, translate, translate_lines

__all__ = [
    "POOLINGS",
    "Answer",
    "Difference",
    "GenerationOptions",
    "IterableSource",
    "Line",
    "LineSource",
    "Output",
    "Speculation",
    "TranslationOptions",
    "build_engines",
    "compare_models",
    "default_beam_size",
    "embed_lines",
    "encode_prompt",
    "generate",
    "one_engine_per_core",
    "plain_engine",
    "search_options",
    "speculative_search",
    "stream",
    "stream_text",
    "translate",
    "translate_lines",
]
