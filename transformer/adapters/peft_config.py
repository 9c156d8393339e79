"""PEFT's adapter_config.json, read and written."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from checkpoints import CheckpointError, read_json
from tokenizer.quantities import format_count

from .settings import AdapterSettings, scale_of

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")

# The options that are read; others are refused where they are set, but for these without effect on
# an adapter that is trained. The tensors of the file say which modules and layers are adapted.
_NO_EFFECT = """auto_mapping corda_config ensure_weight_tying eva_config exclude_modules
    fan_in_fan_out inference_mode layers_pattern layers_to_transform loftq_config lora_dropout
    lora_ga_config megatron_config megatron_core modules_to_save peft_version qalora_group_size
    revision runtime_config target_modules task_type"""
# First values of A and B that leave the base as it is; others (PiSSA, OLoRA, LoftQ …) change it.
_INITIALIZATIONS = (True, False, "gaussian", "eva", "orthogonal", None)
_LITERAL = re.compile(r"[\w.-]+")  # a pattern of names that is a name, or the end of one


class PeftConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The options of an adapter_config.json that decide what an adapter computes."""

    peft_type: str
    r: int = 8
    lora_alpha: float = 8
    use_rslora: bool = False
    use_dora: bool = False
    rank_pattern: dict[str, int] | None = None
    alpha_pattern: dict[str, float] | None = None
    base_model_name_or_path: str | None = None
    bias: str = "none"
    init_lora_weights: bool | str | None = True

    def scale(self, module: str, rank: int) -> float:
        """Return the factor of a module's update, which has some rank."""
        alpha = _fitting(self.alpha_pattern, module)
        alpha = self.lora_alpha if alpha is None else alpha
        return scale_of(rank, alpha, rslora=self.use_rslora)

    def rank(self, module: str) -> int:
        """Return the rank that a module's update should have."""
        rank = _fitting(self.rank_pattern, module)
        return self.r if rank is None else int(rank)


def read_peft_config(folder: Path) -> PeftConfig:
    """Read an adapter's configuration. Raises CheckpointError, also for what is not supported."""
    source = folder / ADAPTER_CONFIG
    options = read_json(source)
    known = {*PeftConfig.__struct_fields__, *_NO_EFFECT.split()}
    kind = options.get("peft_type")
    if kind != "LORA":
        raise CheckpointError(f"{source}: peft_type is {kind!r}; only LORA is read")
    for name, value in options.items():
        if value and name not in known:
            raise CheckpointError(f"{source}: {name} is {_shown(value)}, which is not supported")
    try:
        config = msgspec.convert(options, PeftConfig, strict=False)
    except msgspec.ValidationError as error:
        raise CheckpointError(f"{source}: {error}") from None
    if config.bias != "none":
        raise CheckpointError(f"{source}: bias is {config.bias!r}; only none is supported")
    if config.init_lora_weights not in _INITIALIZATIONS:
        raise CheckpointError(
            f"{source}: init_lora_weights is {config.init_lora_weights!r}, which changes the base "
            "model too; save the adapter with path_initial_model_for_weight_conversion"
        )
    for name in ("rank_pattern", "alpha_pattern"):
        for pattern in getattr(config, name) or {}:
            if not _LITERAL.fullmatch(pattern):
                raise CheckpointError(
                    f"{source}: {name} has {_shown(pattern)}, a regular expression; names alone "
                    "are read"
                )
    return config


def peft_fields(
    settings: AdapterSettings,
    *,
    base: str | None,
    task: str | None,
    modules: Sequence[str],
    saved: Sequence[str],
    is_transposed: bool,
) -> dict[str, Any]:
    """Return an adapter_config.json: of adapted modules, and of those that are saved whole."""
    return {
        "base_model_name_or_path": base,
        "bias": "none",
        "fan_in_fan_out": is_transposed,
        "inference_mode": True,
        "init_lora_weights": True,
        "lora_alpha": settings.alpha,
        "lora_dropout": settings.dropout,
        "modules_to_save": sorted(saved) or None,
        "peft_type": "LORA",
        "r": settings.rank,
        "target_modules": sorted(modules),
        "task_type": task,
        "use_dora": False,
        "use_rslora": settings.rslora,
    }


def adapter_facts(folder: Path) -> list[tuple[str, str]]:
    """Return facts on an adapter by name, for a summary. Raises CheckpointError."""
    config, options = read_peft_config(folder), read_json(folder / ADAPTER_CONFIG)
    scaling = "alpha / √rank" if config.use_rslora else "alpha / rank"
    kind = "DoRA" if config.use_dora else "LoRA"
    facts = [
        ("adapter", f"{kind}, rank {config.r}, alpha {config.lora_alpha:g} ({scaling})"),
        ("base", config.base_model_name_or_path or "not named"),
    ]
    listed = ("target_modules", "modules_to_save", "layers_to_transform")
    facts += [(n.replace("_", " "), _listed(options[n])) for n in listed if options.get(n)]
    return facts


def _listed(value: Any) -> str:
    """Return a list of names by their ends, each once."""
    if not isinstance(value, list):
        return str(value)
    ends = sorted({str(item).rpartition(".")[2] for item in value})
    more = f" ({format_count(len(value), 'module')})" if len(value) > len(ends) else ""
    return f"{', '.join(ends)}{more}"


def _fitting(patterns: Mapping[str, float] | None, module: str) -> float | None:
    """Return the value of the first pattern that is a module's name or the end of it."""
    for pattern, value in (patterns or {}).items():
        if f".{module}".endswith(f".{pattern}"):
            return value
    return None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
