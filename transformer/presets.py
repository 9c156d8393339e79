"""Named configurations, as data; the small ones leave the size of the vocabulary open.

Sources: original base and big, arXiv 1706.03762 table 3; GPT-2, Radford et al. 2019; GPT-3,
arXiv 2005.14165 table 2.1; BERT, arXiv 1810.04805; RoFormer, arXiv 2104.09864; T5, arXiv
1910.10683; BART, arXiv 1910.13461; the student, Kim et al. 2019 (aclanthology.org/D19-5632).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from .config import TransformerConfig
from .config_fields import config_from_fields
from .registry import Registry

Fields = dict[str, Any]

_ORIGINAL: Fields = {
    "shape": "encoder-decoder",
    "encoder_layers": 6,
    "decoder_layers": 6,
    "d_model": 512,
    "d_ff": 2048,
    "heads": 8,
    "vocab_size": 37_000,
}

_GPT: Fields = {
    "shape": "decoder",
    "positions": "learned",
    "max_positions": 1024,
    "feedforward": "gelu-tanh",
    "norm_placement": "pre",
    "final_norm": True,
    "embedding_scale": False,
    "attention_dropout": 0.1,
    "initialization": "gpt2",
    "vocab_size": 50_257,
}

_LLAMA: Fields = {
    "shape": "decoder",
    "positions": "rotary",
    "feedforward": "swiglu",
    "norm": "rmsnorm",
    "norm_placement": "pre",
    "final_norm": True,
    "bias": False,
    "embedding_scale": False,
    "initialization": "gpt2",
    "max_positions": 1024,
}


def _inverse_root_of_width(fields: Fields) -> float:
    return float(fields["d_model"] ** -0.5)


def _decoder(base: Fields, layers: int, d_model: int, heads: int, **changes: Any) -> Fields:
    sizes = {"decoder_layers": layers, "d_model": d_model, "heads": heads, "d_ff": 4 * d_model}
    return {**base, **sizes, **changes}


def _encoder_decoder(base: Fields, layers: int, d_model: int, heads: int, **changes: Any) -> Fields:
    return _decoder({**base, "encoder_layers": layers}, layers, d_model, heads, **changes)


_BERT: Fields = {
    "shape": "encoder",
    "encoder_layers": 12,
    "d_model": 768,
    "d_ff": 3072,
    "heads": 12,
    "positions": "learned",
    "max_positions": 512,
    "feedforward": "gelu",
    "norm_eps": 1e-12,
    "embedding_scale": False,
    "embedding_norm": True,
    "token_types": 2,
    "output_bias": True,
    "head": "masked",
    "attention_dropout": 0.1,
    "initialization": "normal",
    "vocab_size": 30_522,
}

_BERT_TINY: Fields = {
    **{name: value for name, value in _BERT.items() if name != "vocab_size"},
    "encoder_layers": 4,
    "d_model": 128,
    "d_ff": 512,
    "heads": 4,
    "positions": "rotary",
    "max_positions": 256,
}

_T5: Fields = {
    "shape": "encoder-decoder",
    "encoder_layers": 12,
    "decoder_layers": 12,
    "d_model": 768,
    "d_ff": 3072,
    "heads": 12,
    "positions": "relative",
    "max_positions": 512,
    "attention_scale": 1.0,
    "norm": "rmsnorm",
    "norm_eps": 1e-6,
    "norm_placement": "pre",
    "final_norm": True,
    "bias": False,
    "embedding_scale": False,
    "output_scale": _inverse_root_of_width,
    "attention_dropout": 0.1,
    "activation_dropout": 0.1,
    "initialization": "t5",
    "vocab_size": 32_128,
}

_T5_TINY: Fields = {
    **{name: value for name, value in _T5.items() if name != "vocab_size"},
    "encoder_layers": 3,
    "decoder_layers": 3,
    "d_model": 128,
    "d_ff": 512,
    "heads": 4,
    "max_positions": 256,
}

_BART: Fields = {
    "shape": "encoder-decoder",
    "encoder_layers": 6,
    "decoder_layers": 6,
    "d_model": 768,
    "d_ff": 3072,
    "heads": 12,
    "positions": "learned",
    "max_positions": 1024,
    "position_offset": 2,
    "feedforward": "gelu",
    "embedding_scale": False,
    "embedding_norm": True,
    "initialization": "normal",
    "vocab_size": 50_265,
}

_BART_TINY: Fields = {
    **{name: value for name, value in _BART.items() if name != "vocab_size"},
    "encoder_layers": 3,
    "decoder_layers": 3,
    "d_model": 128,
    "d_ff": 512,
    "heads": 4,
    "max_positions": 256,
}

_SMALL_TRANSLATOR: Fields = {
    "shape": "encoder-decoder",
    "norm_placement": "pre",
    "final_norm": True,
    "feedforward": "relu",
}

OPEN_VOCABULARY = 8000  # tokens with which the weights of a preset of open vocabulary are counted


class Preset(NamedTuple):
    """A named network: its size, its purpose and its fields, some of a configuration's.

    A field may be a function of the others.
    """

    weights: int
    purpose: str
    fields: Fields


PRESETS: Registry[Preset] = Registry(
    "preset",
    {
        "translate-tiny": Preset(
            1_687_040,
            "a translator from up to 50,000 pairs, in minutes",
            _encoder_decoder(_SMALL_TRANSLATOR, 2, 128, 4, d_ff=256),
        ),
        "translate-small": Preset(
            7_578_624,
            "a translator from more pairs, in hours",
            _encoder_decoder(_SMALL_TRANSLATOR, 3, 256, 4),
        ),
        "translate-student": Preset(
            8_631_296,
            "a translator that writes fast: a deep encoder, a recurrent decoder of 2 layers",
            _encoder_decoder(_SMALL_TRANSLATOR, 6, 256, 4, decoder_layers=2, attention="ssru"),
        ),
        "base": Preset(
            63_082_496, "the first Transformer, base (arXiv 1706.03762); a GPU", _ORIGINAL
        ),
        "big": Preset(
            214_245_376,
            "the first Transformer, big (arXiv 1706.03762); a GPU",
            _encoder_decoder(_ORIGINAL, 6, 1024, 16, dropout=0.3),
        ),
        "t5-tiny": Preset(
            2_402_688, "to pre-train on text and then to translate, in minutes", _T5_TINY
        ),
        "t5-base": Preset(222_903_552, "T5's network (arXiv 1910.10683); a GPU", _T5),
        "bart-tiny": Preset(
            2_479_104, "to pre-train on text and then to translate, in minutes", _BART_TINY
        ),
        "bart-base": Preset(139_420_416, "BART's network (arXiv 1910.13461); a GPU", _BART),
        "bert-tiny": Preset(
            1_842_368,
            "an encoder with rotary positions, to classify texts or to pre-train, in minutes",
            _BERT_TINY,
        ),
        "bert-base": Preset(
            109_514_298, "BERT's network (arXiv 1810.04805), an encoder; a GPU", _BERT
        ),
        "write-tiny": Preset(
            1_877_120,
            "a language model of a book, in minutes",
            _decoder(_LLAMA, 4, 128, 4, d_ff=384, max_positions=256),
        ),
        "write-small": Preset(
            13_693_824,
            "a language model of more text, in hours",
            _decoder(_LLAMA, 6, 384, 6, d_ff=1024),
        ),
        "gpt2": Preset(124_439_808, "GPT-2's network; a GPU", _decoder(_GPT, 12, 768, 12)),
        "gpt2-medium": Preset(
            354_823_168, "GPT-2's network, medium; a GPU", _decoder(_GPT, 24, 1024, 16)
        ),
        "gpt2-large": Preset(
            774_030_080, "GPT-2's network, large; a GPU", _decoder(_GPT, 36, 1280, 20)
        ),
        "gpt2-xl": Preset(
            1_557_611_200, "GPT-2's network, XL; a large GPU", _decoder(_GPT, 48, 1600, 25)
        ),
        "gpt3-175b": Preset(
            174_604_259_328,
            "GPT-3's network (arXiv 2005.14165), to be studied",
            _decoder(_GPT, 96, 12_288, 96, max_positions=2048),
        ),
    },
)


def preset_config(name: str, **changes: Any) -> TransformerConfig:
    """Return the configuration of a preset, with fields changed.

    Raises UnknownNameError for a name not in PRESETS and ConfigError for fields that do not fit.
    """
    fields = {**PRESETS[name].fields, **changes}
    return config_from_fields(
        {name: value(fields) if callable(value) else value for name, value in fields.items()}
    )


def preset_shape(model: Mapping[str, Any]) -> str:
    """Return the shape of a network that a preset and changes of its fields describe."""
    return str(model.get("shape") or PRESETS[model["preset"]].fields["shape"])


def preset_token_types(model: Mapping[str, Any]) -> int:
    """Return the token types of a network that a preset and changes of its fields describe."""
    fields = {**PRESETS[model["preset"]].fields, **model}
    return int(fields.get("token_types", 0))
