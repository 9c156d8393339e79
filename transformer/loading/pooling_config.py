"""The pooling of a text's states into a vector, as sentence-transformers stores it."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from torch import Tensor

from checkpoints import CheckpointError, Weights, read_json, read_json_list, to_json

MODULES, _PROMPTS = "modules.json", "config_sentence_transformers.json"
_SETTINGS, _TOKENIZER = "sentence_*_config.json", "tokenizer_config.json"
_TRANSFORMER = "Transformer"  # the type of the module that is the network
TRANSFORMER_FOLDERS = "*_Transformer"  # its folder, where it has one
# All files that only sentence-transformers and this module read.
POOLING_FILES = (
    *(MODULES, _SETTINGS, _PROMPTS, "*_Pooling/config.json", "*_Normalize/config.json"),
    *(f"*_Dense/{name}" for name in ("config.json", "model.safetensors", "pytorch_model.bin")),
)
# Our names by their flags, of which one is set, and by their newer names.
_MODES = {
    "pooling_mode_cls_token": "first",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean-sqrt",
    "pooling_mode_weightedmean_tokens": "weighted-mean",
    "pooling_mode_lasttoken": "last",
}
_NAMES = {
    "cls": "first",
    "max": "max",
    "mean": "mean",
    "mean_sqrt_len_tokens": "mean-sqrt",
    "weightedmean": "weighted-mean",
    "lasttoken": "last",
}
_NO_PROMPTS: Mapping[str, str] = MappingProxyType({})


class DenseLayer(NamedTuple):
    """A linear map of pooled vectors, with an activation (an entry of DENSE_ACTIVATIONS)."""

    weight: Tensor  # (outputs, inputs)
    bias: Tensor | None
    activation: str


class PoolingConfig(NamedTuple):
    """The kind of pooling (an entry of POOLINGS), and what is done before and after it.

    Texts are cut at `max_tokens`, special tokens included. `default_prompt` is a name in `prompts`;
    without `pool_prompt`, the tokens of a prompt are read and not pooled.
    """

    kind: str = "mean"
    normalize: bool = True
    max_tokens: int | None = None
    lower: bool = False  # texts are in lower case
    strip: bool = False  # texts have no white space around them
    prompts: Mapping[str, str] = _NO_PROMPTS
    default_prompt: str | None = None
    pool_prompt: bool = True
    dense: tuple[DenseLayer, ...] = ()


def read_pooling_config(folder: Path) -> PoolingConfig:
    """Return a folder's pooling; by default, the normalized mean. Raises CheckpointError."""
    root = sentence_root(folder)
    if not has_pooling(folder):
        return PoolingConfig()
    settings: dict[str, Any] = {"normalize": False}
    dense: list[DenseLayer] = []
    for module in read_json_list(root / MODULES):
        name, path = _module_type(module), root / _module_folder(module)
        if settings["normalize"] or (name == "Dense" and "kind" not in settings):
            raise CheckpointError(
                f"{root / MODULES}: a module {name!r} in this order is not supported; only "
                "Transformer, Pooling, Dense, Normalize"
            )
        if name == "Pooling":
            settings |= _read_pooling(path / "config.json")
        elif name == "Dense":
            dense.append(_read_dense(path))
        elif name == "Normalize":
            settings["normalize"] = True
        elif name != _TRANSFORMER:
            raise CheckpointError(f"{root / MODULES}: a module {name!r} is not supported")
    if "kind" not in settings:
        raise CheckpointError(f"{root / MODULES} names no Pooling, which makes a vector of a text")
    settings |= _read_texts(folder) | _read_prompts(root / _PROMPTS)
    return PoolingConfig(**settings, dense=tuple(dense))


def has_pooling(folder: Path) -> bool:
    """Return True for a folder that says how states are pooled, as a decoder's must to embed."""
    return (sentence_root(folder) / MODULES).is_file()


def module_types(root: Path) -> list[str]:
    """Return the kinds of a sentence model's modules, or none for another folder.

    Raises CheckpointError for a modules.json that cannot be read.
    """
    path = root / MODULES
    return [_module_type(module) for module in read_json_list(path)] if path.is_file() else []


def transformer_folder(root: Path) -> Path | None:
    """Return the subfolder in which older sentence models have their network, or None.

    Raises CheckpointError for a modules.json that cannot be read.
    """
    modules = read_json_list(root / MODULES) if (root / MODULES).is_file() else []
    folders = (root / _module_folder(m) for m in modules if _module_type(m) == _TRANSFORMER)
    return next((folder for folder in folders if folder.match(TRANSFORMER_FOLDERS)), None)


def sentence_root(folder: Path) -> Path:
    """Return the folder of the sentence model whose network a folder has: mostly itself."""
    whole = folder if folder.name else folder.resolve()
    if not whole.match(TRANSFORMER_FOLDERS) or (folder / MODULES).is_file():
        return folder
    return whole.parent if transformer_folder(whole.parent) == whole else folder


def _module_type(module: Mapping[str, Any]) -> str:
    return str(module.get("type", "")).rpartition(".")[2]


def _module_folder(module: Mapping[str, Any]) -> str:
    return Path(str(module.get("path", ""))).name


def sentence_files(folder: Path) -> list[str]:
    """Return the names of a folder's files that only sentence-transformers reads."""
    paths = [path for pattern in POOLING_FILES for path in folder.glob(pattern)]
    return sorted(path.relative_to(folder).as_posix() for path in paths if path.is_file())


def flat_modules(root: Path) -> str:
    """Return the contents of modules.json for a folder that has the network in itself."""
    modules = read_json_list(root / MODULES)
    is_network = [_module_type(module) == _TRANSFORMER for module in modules]
    pairs = zip(modules, is_network, strict=True)
    return to_json([{**m, "path": ""} if is_inner else m for m, is_inner in pairs])


def _read_pooling(path: Path) -> dict[str, Any]:
    settings = read_json(path)
    flags = [n for n, v in settings.items() if n.startswith("pooling_mode_") and v is True]
    named = settings.get("pooling_mode")
    kinds = [_MODES.get(flag) for flag in flags] or [_NAMES.get(str(named))]
    if len(kinds) != 1 or kinds[0] is None:
        requested = ", ".join(flags) or repr(named)
        raise CheckpointError(f"{path} has {requested}; supported is one of {', '.join(_MODES)}")
    return {"kind": kinds[0], "pool_prompt": settings.get("include_prompt", True) is not False}


def _read_dense(folder: Path) -> DenseLayer:
    settings, weights = read_json(folder / "config.json"), Weights(folder)
    names = {"linear.weight", "linear.bias"} if settings.get("bias", True) else {"linear.weight"}
    if {*weights} != names:
        raise CheckpointError(
            f"{folder} holds {', '.join(sorted(weights))}; a Dense module of its config.json has "
            f"{', '.join(sorted(names))}"
        )
    weight = weights.tensor("linear.weight")
    bias = weights.tensor("linear.bias") if "linear.bias" in names else None
    sizes = tuple(settings.get(name) for name in ("out_features", "in_features"))
    if weight.shape != sizes or (bias is not None and bias.shape != sizes[:1]):
        raise CheckpointError(f"{folder}: its weights are {tuple(weight.shape)}, not {sizes}")
    activation = str(settings.get("activation_function") or "Tanh").rpartition(".")[2]
    return DenseLayer(weight, bias, activation.lower())


def _read_texts(folder: Path) -> dict[str, Any]:
    """Return what is done to texts before they are encoded, and where they are cut."""
    path = min(folder.glob(_SETTINGS), default=None)
    settings = {} if path is None else read_json(path)
    limit = settings.get("max_seq_length")
    if limit is None and (folder / _TOKENIZER).is_file():
        limit = read_json(folder / _TOKENIZER).get("model_max_length")
        limit = int(limit) if isinstance(limit, int | float) and 1 <= limit < 10**9 else None
    elif limit is not None and (type(limit) is not int or limit < 1):
        raise CheckpointError(f"{path}: max_seq_length is {limit!r}; it must be 1 or more")
    return {"max_tokens": limit, "lower": settings.get("do_lower_case") is True, "strip": True}


def _read_prompts(path: Path) -> dict[str, Any]:
    settings = read_json(path) if path.is_file() else {}
    prompts, default = settings.get("prompts") or {}, settings.get("default_prompt_name")
    if not isinstance(prompts, dict) or not all(isinstance(p, str) for p in prompts.values()):
        raise CheckpointError(f"{path}: prompts must be texts by name")
    if default is not None and default not in prompts:
        names = ", ".join(prompts) or "none"
        raise CheckpointError(f"{path}: default_prompt_name is {default!r}; its prompts: {names}")
    return {"prompts": prompts, "default_prompt": default}
