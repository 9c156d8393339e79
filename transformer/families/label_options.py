"""Options of a published config.json about labels: their names, and what a text has of them."""

import re
from collections.abc import Sequence
from typing import Any

from ..config import TransformerConfig
from .config_reader import ConfigReader

# Control characters, ends of lines, and what no encoding has.
_NOT_SHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_DEFAULT_LABELS = 2  # in transformers, where a file does not say
_PROBLEM_TYPES = {
    "single_label_classification": "single",
    "multi_label_classification": "multi",
    "regression": "number",
}
_CROSS_ENCODER = "sentence_transformers"  # options of a model whose label is a score of a pair
# By what makes scores of outputs; None: nothing does, and what else is said decides.
_KINDS_BY_ACTIVATION = {"Identity": None, "Sigmoid": "multi", "Softmax": "single"}


def default_label_names(count: int) -> tuple[str, ...]:
    """Return the names that transformers gives labels without names.

    >>> default_label_names(2)
    ('LABEL_0', 'LABEL_1')
    """
    return tuple(f"LABEL_{number}" for number in range(count))


def count_labels(reader: ConfigReader) -> int:
    """Return the number of labels: of `id2label`, or else `num_labels`, as in transformers."""
    reader.get("label2id", dict)  # the inverse, which transformers does not read either
    count = reader.integer("num_labels", _DEFAULT_LABELS)
    names = reader.get("id2label", dict)
    return count if names is None else len(_checked_names(reader, names))


def published_label_names(reader: ConfigReader) -> tuple[str, ...]:
    """Return the names of a published model's labels in the order of their ids.

    Raises CheckpointError for ids that are not 0, 1, 2 …, and for names that are no texts.
    """
    names = reader.get("id2label", dict)
    if names is None:
        return default_label_names(count_labels(reader))
    return _checked_names(reader, names)


def read_label_kind(reader: ConfigReader, count: int) -> str:
    """Return what a text has of the labels; a single one is a number, as in transformers.

    Where a file says what a cross-encoder of sentence-transformers makes of the outputs, it is
    what fits that. Raises CheckpointError for what fits none.
    """
    default = "regression" if count == 1 else "single_label_classification"
    kind = reader.choice("problem_type", _PROBLEM_TYPES, default)
    old = reader.get("sbert_ce_default_activation_function", str)
    module = reader.get(_CROSS_ENCODER, dict, {}).get("activation_fn", old)
    name = "Identity" if module is None else str(module).rpartition(".")[2]
    if name not in _KINDS_BY_ACTIVATION:
        known = ", ".join(_KINDS_BY_ACTIVATION)
        raise reader.error(f"activation_fn is {module!r}, which is not supported; only: {known}")
    return _KINDS_BY_ACTIVATION[name] or kind


def write_labels(config: TransformerConfig, names: Sequence[str] = ()) -> dict[str, Any]:
    """Return the options about a network's labels; without `names`, they have transformers'."""
    numbered = dict(enumerate(names or default_label_names(config.labels)))
    options: dict[str, Any] = {
        "id2label": {str(number): name for number, name in numbered.items()},
        "label2id": {name: number for number, name in numbered.items()},
    }
    kinds = {ours: theirs for theirs, ours in _PROBLEM_TYPES.items()}
    if config.head == "tagging":
        return options
    if config.labels == 1 and config.label_kind == "number":  # else it would be made a probability
        options[_CROSS_ENCODER] = {"activation_fn": "torch.nn.modules.linear.Identity"}
    if (config.labels, config.label_kind) != (1, "single"):  # which transformers refuses
        options["problem_type"] = kinds[config.label_kind]
    return options


def _checked_names(reader: ConfigReader, names: dict[str, Any]) -> tuple[str, ...]:
    ordered = [names.get(str(number)) for number in range(len(names))]
    if not names or None in ordered:
        shown = ", ".join(sorted(names)[:5]) or "none"
        raise reader.error(
            f"the ids of id2label are {shown}{' …' if len(names) > 5 else ''}; they must be "
            f"{f'0 to {len(names) - 1}' if names else 'those of all labels'}, each once"
        )
    return check_label_names(reader, "id2label", ordered)


def check_label_names(reader: ConfigReader, option: str, names: Sequence[Any]) -> tuple[str, ...]:
    """Return names of labels, which are texts of one line. Raises CheckpointError."""
    for number, name in enumerate(names):
        if not isinstance(name, str) or not name.strip() or _NOT_SHOWN.search(name):
            shown = repr(name)
            raise reader.error(
                f"{option} names label {number} {shown[:60]}{'…' if len(shown) > 60 else ''}; a "
                "name must be a text of one line"
            )
    return tuple(names)
