"""Noise for pre-training: pure functions of token ids and a generator of random numbers.

Each has the form of its paper, takes one row of ids (T) and knows no tokenizer: a NoiseVocabulary
says which ids are special, which continue a word, and what stands for what is missing. A caller
seeds the generator from (seed, epoch, row), so that noise is new in every epoch and a row's is the
same whoever computes it. The start, the end and other frames of a row are added after its noise.
"""

from ...noise_options import DenoisingOptions, MaskingOptions, SpanOptions
from .denoising import NOISES, denoise
from .masking import mask_tokens
from .mixing import mixing_counts, mixing_order, mixing_shares
from .prefix import draw_prefix_length
from .spans import (
    corrupt_spans,
    corrupted_lengths,
    draw_noise_spans,
    raw_length,
    replace_spans,
)
from .vocabulary import NoiseVocabulary

__all__ = [
    "NOISES",
    "DenoisingOptions",
    "MaskingOptions",
    "NoiseVocabulary",
    "SpanOptions",
    "corrupt_spans",
    "corrupted_lengths",
    "denoise",
    "draw_noise_spans",
    "draw_prefix_length",
    "mask_tokens",
    "mixing_counts",
    "mixing_order",
    "mixing_shares",
    "raw_length",
    "replace_spans",
]
