"""Published models as configurations of this one.

A registry of families, each with a name map and two functions between configurations.
"""

from collections.abc import Mapping
from typing import Any

from checkpoints import CheckpointError

from .bart import BART, M2M100, MARIAN, MBART, PEGASUS
from .bert import BERT, ROBERTA, XLM_ROBERTA
from .config_reader import ConfigReader
from .distilbert import DISTILBERT
from .family import Family
from .gemma import GEMMA2, GEMMA3
from .gpt2 import GPT2
from .led import LED
from .llama import LLAMA, MISTRAL
from .longformer import LONGFORMER
from .native import LABEL_NAMES, MODEL_TYPE, NATIVE, SOURCE_AFFIXES
from .no_effect import has_no_effect
from .olmo2 import OLMO2
from .other_kinds import describe_kind
from .phi3 import PHI3
from .qwen import QWEN2, QWEN3
from .roformer import ROFORMER
from .sinusoid_permutation import permute_to_halved_sinusoids
from .smollm3 import SMOLLM3
from .t5 import T5

# By the model_type of config.json.
FAMILIES: dict[str, Family] = {
    MODEL_TYPE: NATIVE,
    "gpt2": GPT2,
    "llama": LLAMA,
    "mistral": MISTRAL,
    "qwen2": QWEN2,
    "qwen3": QWEN3,
    "smollm3": SMOLLM3,
    "olmo2": OLMO2,
    "gemma2": GEMMA2,
    "gemma3_text": GEMMA3,
    "phi3": PHI3,
    "bert": BERT,
    "distilbert": DISTILBERT,
    "roberta": ROBERTA,
    "xlm-roberta": XLM_ROBERTA,
    "roformer": ROFORMER,
    "longformer": LONGFORMER,
    "bart": BART,
    "led": LED,
    "mbart": MBART,
    "pegasus": PEGASUS,
    "marian": MARIAN,
    "m2m_100": M2M100,
    "t5": T5,
}


def family_of(fields: Mapping[str, Any], source: str) -> Family:
    """Return the family that a config.json names. Raises CheckpointError."""
    kind = fields.get("model_type")
    family = FAMILIES.get(kind) if isinstance(kind, str) else None
    code = fields.get("auto_map")
    if code and not (family and family.knows_code(code)):
        raise CheckpointError(
            f"{source} asks for code of its own (auto_map), and no code from a model is ever run"
        )
    if family is None:
        described = describe_kind(fields)
        what = f"{kind!r}, {described}" if described else repr(kind)
        raise CheckpointError(
            f"{source}: model_type is {what}; allowed: {', '.join(sorted(FAMILIES))}"
        )
    return family


__all__ = [
    "FAMILIES",
    "LABEL_NAMES",
    "MODEL_TYPE",
    "SOURCE_AFFIXES",
    "ConfigReader",
    "Family",
    "family_of",
    "has_no_effect",
    "permute_to_halved_sinusoids",
]
