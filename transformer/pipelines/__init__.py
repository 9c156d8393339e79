"""Text in, text out: the only part that knows loaded models and lines."""

from .comparison import Difference, compare
from .embedding import POOLINGS, embed_lines
from .engines import build_engines, one_engine_per_core, plain_engine
from .generation import GenerationOptions, encode_prompt, generate, stream, stream_text
from .records import Answer, Given, Line, Output, Source
from .search_settings import search_options, usual_beams
from .speculation import Speculation, speculative_search
from .translation import TranslationOptions, translate, translate_lines

__all__ = [
    "POOLINGS",
    "Answer",
    "Difference",
    "GenerationOptions",
    "Given",
    "Line",
    "Output",
    "Source",
    "Speculation",
    "TranslationOptions",
    "build_engines",
    "compare",
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
    "usual_beams",
]
