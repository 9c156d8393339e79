"""A summary of a model folder, from its configuration and headers.

No weights are read, so models of any size are summarized at once.
"""

import math
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path

from checkpoints import CheckpointError, Weights
from tokenizer import TOKENIZER_FILES, TokenizerError, read_tokenizers
from tokenizer.quantities import format_count

from ..abilities import commands_of
from ..adapters.peft_config import ADAPTER_CONFIG, ADAPTER_WEIGHTS, adapter_facts
from ..attention import ATTENTION
from ..chat.template import chat_template_text
from ..config import TransformerConfig
from ..config_fields import own_fields
from ..families import MODEL_TYPE
from ..families.label_options import default_label_names
from ..parameters import parameters_by_part
from .adapter_folder import is_adapter, use_with_base
from .generation_config import GENERATION, raw_settings, settings_left_to_user
from .hub import hub_name
from .label_names import read_label_names
from .language_tokens import language_names
from .model_folder import (
    CONFIG,
    FolderContents,
    InitialFiles,
    find_folder,
    find_folders,
    inspect_folder,
    inspect_initial,
)
from .pooling_config import has_pooling, read_pooling_config

Fact = tuple[str, str]
_MAX_NAMES = 20  # of languages, and of labels


def summarize_model(path: Path) -> list[Fact]:
    """Return facts by name, most important first. Raises CheckpointError."""
    folder = find_folder(path)
    if is_adapter(folder):
        return _summarize_adapter(folder)
    contents = inspect_folder(folder)
    config = contents.config
    parts = parameters_by_part(config)
    return [
        ("folder", str(contents.folder)),
        ("family", str(contents.options["model_type"])),
        ("commands", _commands(contents)),
        *_languages(contents),
        ("architecture", _architecture(config)),
        ("layers", _layers(config)),
        ("parameters", f"{sum(parts.values()):,}"),
        *((f"  {part}", f"{count:,}") for part, count in parts.items()),
        ("vocabulary", _vocabulary(config)),
        ("context", _context(config)),
        *_labels(contents),
        *_pooling(contents),
        ("weights", _weights(contents)),
        *_files(contents),
        *_provenance(contents),
        *_decoding(contents),
    ]


def _summarize_adapter(folder: Path) -> list[Fact]:
    """Return facts on an adapter, and on its base where that is known from training."""
    weights = Weights(folder, ADAPTER_WEIGHTS)
    base: list[Fact] = []
    use = use_with_base(folder)
    with suppress(CheckpointError):
        contents = inspect_folder(find_folders(folder).model)
        network = inspect_initial(folder) or contents
        base = [
            ("commands", _commands(network)),
            ("architecture", _architecture(network.config)),
            *_labels(network),
        ]
        use = f"-m {folder}"
    present = [p for p in (folder / ADAPTER_CONFIG, folder / ADAPTER_WEIGHTS[0]) if p.is_file()]
    return [
        ("folder", str(folder)),
        *adapter_facts(folder),
        *base,
        ("use", use),
        ("parameters", f"{weights.elements:,}"),
        *(("file", f"{p.name}, {format_count(p.stat().st_size, 'byte')}") for p in present),
    ]


def _commands(contents: FolderContents | InitialFiles) -> str:
    """Return the commands that can use the model."""
    commands = commands_of(contents.config, is_pooled=has_pooling(contents.folder))
    with suppress(CheckpointError, OSError):
        if "generate" in commands and chat_template_text(contents.folder) is not None:
            commands.insert(1, "generate --chat")
    return ", ".join(commands)


def _context(config: TransformerConfig) -> str:
    """Return how long texts may be, and those that are written where that differs."""
    context = format_count(config.max_positions, "token")
    if config.max_target_positions is None:
        return context
    return f"{context}, outputs {format_count(config.target_positions, 'token')}"


def _languages(contents: FolderContents) -> list[Fact]:
    """Return the languages that --from and --to take, if there are any."""
    try:
        source, target = read_tokenizers(contents.folder)
    except (TokenizerError, OSError):  # which loading the model will tell
        return []
    tokens = {**source.special_tokens(), **target.special_tokens()}
    names = language_names(tokens) if contents.config.has_encoder else []
    return [("languages", _listed(names))] if names else []


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_NAMES:,} more" if len(names) > _MAX_NAMES else ""
    return f"{', '.join(names[:_MAX_NAMES])}{more}"


def _labels(contents: FolderContents | InitialFiles) -> list[Fact]:
    """Return what a head over labels gives: what a text or a word has of them, and their names."""
    config = contents.config
    if not config.labels:
        return []
    names = read_label_names(contents.folder, config, contents.options)
    has = {
        "single": f"one of {config.labels:,}",
        "multi": f"any of {config.labels:,}",
        "number": format_count(config.labels, "number"),
    }[config.label_kind]
    if config.label_kind == "number" and names == default_label_names(config.labels):
        return [("labels", has)]  # nobody named it
    return [("labels", f"{has}: {_listed(names)}")]


def _pooling(contents: FolderContents) -> list[Fact]:
    """Return how the states of a text become a vector."""
    if not (contents.config.has_encoder or has_pooling(contents.folder)):
        return []
    pooling = read_pooling_config(contents.folder)
    parts = [pooling.kind, "scaled to length 1" if pooling.normalize else "not scaled"]
    if pooling.dense:
        parts.append(f"{len(pooling.dense)} Dense")
    if pooling.max_tokens is not None:
        parts.append(f"at most {format_count(pooling.max_tokens, 'token')}")
    if pooling.prompts:
        parts.append(f"prompts {', '.join(sorted(pooling.prompts))}")
    return [("pooling", "; ".join(parts))]


def _architecture(config: TransformerConfig) -> str:
    depth = {
        "encoder": format_count(config.encoder_layers, "layer"),
        "decoder": format_count(config.decoder_layers, "layer"),
        "encoder-decoder": f"{config.encoder_layers} + {config.decoder_layers} layers",
    }[config.shape]
    heads = f"{format_count(config.heads, 'head')} of {config.head_width}"
    if config.key_value_heads != config.heads:
        heads += f", {config.key_value_heads} of keys and values"
    return f"{config.shape}, {depth}, width {config.d_model}, {heads}"


def _layers(config: TransformerConfig) -> str:
    if config.layers is None:
        return f"{_attention(config)}, {_sublayers(config)}"
    own = own_fields(config)
    turns = [_attention(config.of_layer(number), own) for number in range(len(config.layers))]
    runs = [(len([*run]), turn) for turn, run in groupby(turns)]
    if len(runs) == 1:
        return f"{turns[0]}, {_sublayers(config)}"
    shown = "; ".join(f"{count} × {turn}" if count > 1 else turn for count, turn in runs)
    return f"by turns {shown}; {_sublayers(config)}"


def _attention(config: TransformerConfig, differing: Collection[str] = ()) -> str:
    """Return the attention of layers, with what of their rotary positions is `differing`."""
    own = {name: getattr(config, name) for name in ATTENTION[config.attention].fields}
    sizes = [f"{name.replace('_', ' ')} {value:,}" for name, value in own.items() if value]
    positions = "no positions" if config.positions == "none" else f"{config.positions} positions"
    if config.positions == "rotary":
        positions += _rotary(config, differing)
    return ", ".join([positions, f"{config.attention} attention", *sizes])


def _rotary(config: TransformerConfig, differing: Collection[str]) -> str:
    """Return the base and the scaling of rotary positions, those of them that are `differing`."""
    scaling = config.rotary_scaling
    scaled = "unscaled" if scaling is None else f"{scaling.kind} scaling by {scaling.factor:g}"
    told = {"rotary_base": f"base {config.rotary_base:,.15g}", "rotary_scaling": scaled}
    shown = [text for name, text in told.items() if name in differing]
    return f" ({', '.join(shown)})" if shown else ""


def _sublayers(config: TransformerConfig) -> str:
    feedforward = f"{config.feedforward} feed-forward of {config.d_ff}"
    return f"{feedforward}, {config.norm_placement}-{config.norm}"


def _vocabulary(config: TransformerConfig) -> str:
    sizes = f"{config.vocab_size:,} tokens"
    if config.source_vocabulary != config.vocab_size:
        sizes = f"{config.source_vocabulary:,} source, {config.vocab_size:,} target tokens"
    tied = config.tie_output and not config.labels  # which have nothing to be tied to it
    return f"{sizes}, head {config.head}{', tied' if tied else ''}"


def _weights(contents: FolderContents) -> str:
    """Return the number of stored elements of each type, as text."""
    numbers: Counter[str] = Counter()
    for header in contents.weights.values():
        name = "of an unread type" if header.dtype is None else str(header.dtype)
        numbers[name.removeprefix("torch.")] += math.prod(header.shape)
    types = ", ".join(f"{count:,} {name}" for name, count in numbers.most_common())
    return f"{types} in {format_count(len(contents.weights), 'tensor')}"


def _files(contents: FolderContents) -> list[Fact]:
    weights = {header.file for header in contents.weights.values()}
    others = {contents.folder / name for name in (CONFIG, GENERATION, *TOKENIZER_FILES)}
    present = sorted(path for path in weights | others if path.is_file())
    return [
        ("file", f"{path.name}, {format_count(path.stat().st_size, 'byte')}") for path in present
    ]


def _provenance(contents: FolderContents) -> list[Fact]:
    options, hub = contents.options, hub_name(contents.folder)
    origin = [("from the hub", hub)] if hub else []
    if options["model_type"] == MODEL_TYPE:
        return [*origin, ("written by", f"transduce, format {options['format_version']}")]
    version, name = options.get("transformers_version"), options.get("_name_or_path")
    known = [("written by", f"transformers {version}")] if version else []
    return [*origin, *known, *([("name", str(name))] if name else [])]


def _decoding(contents: FolderContents) -> list[Fact]:
    settings = raw_settings(contents.folder, contents.options)
    left = settings_left_to_user(contents.folder, contents.options)
    obeyed = {
        name: value
        for name, value in settings.items()
        if name not in left and not name.startswith("_")
    }
    facts = {"decoding": obeyed, "by flags only": left}
    return [
        (fact, ", ".join(f"{name} {value}" for name, value in values.items()))
        for fact, values in facts.items()
        if values
    ]
