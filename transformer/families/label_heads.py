"""Heads over labels of published classes: what each is here, and where its weights are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from ..config import TransformerConfig
from .config_reader import ConfigReader, TensorNames
from .label_options import count_labels, read_label_kind, write_labels
from .name_map import NameMap

Reader = Callable[[ConfigReader, TensorNames], TransformerConfig]
Writer = Callable[[TransformerConfig], dict[str, Any]]
HIDDEN_ACT = "hidden_act"  # a layer whose activation is that of the network's feed-forward


@dataclass(frozen=True, kw_only=True)
class LabelHead:
    """A published class with a head over labels: its weights' names, and our options for it.

    `names` are lines of a name map, of the head alone. In evaluation, all of these heads are
    `W · act(W₁ · pooled + b₁) + b`, or `W · hidden + b` of each token. `layer` names the activation
    as CLASSIFIER_LAYERS does, or is HIDDEN_ACT.
    """

    architecture: str  # the class in transformers
    names: str
    pooling: str = "first"
    layer: str = "none"
    bias: bool = True

    @property
    def modules(self) -> set[str]:
        """The names of its modules outside of the family's prefix."""
        return {part.partition(".")[0] for part in self.parts("{p}") if "{p}" not in part}

    def parts(self, prefix: str) -> list[str]:
        """Return the names of its linear maps in a family with this prefix."""
        rules = NameMap(self.names).rules.values()
        return [part.replace("{p}", prefix) for rule in rules for part in rule.parts]

    def has_weights(self, names: TensorNames, prefix: str) -> bool:
        """Return True if a file has all matrices of the head."""
        return all(f"{part}.weight" in names for part in self.parts(prefix))

    def is_said_by(self, architecture: str) -> bool:
        """Return True for its class, or that of a family with the same weights."""
        return architecture.endswith(f"For{self.architecture.rpartition('For')[2]}")

    def layer_in(self, config: TransformerConfig) -> str:
        """Return the layer that the head has in a network."""
        return config.feedforward if self.layer == HIDDEN_ACT else self.layer

    def fits(self, config: TransformerConfig) -> bool:
        """Return True if a network's head has exactly the published one's parts."""
        wanted = (self.pooling, self.layer_in(config), self.bias)
        found = (config.classifier_pooling, config.classifier_layer, config.output_bias)
        return found == wanted if config.head == "classification" else found[-1] == wanted[-1]

    def attach(
        self, kind: str, config: TransformerConfig, reader: ConfigReader
    ) -> TransformerConfig:
        """Return the configuration of a network with this head, which is of our `kind`."""
        count = count_labels(reader)
        return msgspec.structs.replace(
            config,
            head=kind,
            labels=count,
            label_kind=read_label_kind(reader, count) if kind == "classification" else "single",
            classifier_pooling=self.pooling,
            classifier_layer=self.layer_in(config),
            output_bias=self.bias,
            tie_output=True,  # there is no output over the vocabulary
            output_scale=1.0,
        )


LabelHeads = Mapping[str, LabelHead]  # by our names of heads


def read_with_label_heads(
    reader: ConfigReader, names: TensorNames, *, read: Reader, heads: LabelHeads, prefix: str
) -> TransformerConfig:
    """Return what `read` does, with a head over labels where the file has the weights of one."""
    config = read(reader, names)
    kind = _present_head(reader, names, heads, prefix)
    return heads[kind].attach(kind, config, reader) if kind else config


def write_with_label_heads(
    config: TransformerConfig, *, write: Writer, heads: LabelHeads
) -> dict[str, Any]:
    """Return what `write` does, with the options about a head over labels."""
    options, head = write(config), heads.get(config.head)
    if head is None:
        return options
    return {**options, "architectures": [head.architecture], **write_labels(config)}


def names_with_label_heads(
    config: TransformerConfig, *, names: Callable[[TransformerConfig], NameMap], heads: LabelHeads
) -> NameMap:
    """Return the name map of a network, which may have a head over labels."""
    found, head = names(config), heads.get(config.head)
    return found if head is None else found.with_module("head", head.names)


def _present_head(
    reader: ConfigReader, names: TensorNames, heads: LabelHeads, prefix: str
) -> str | None:
    """Return our name of the head over labels that a file has, if it has one.

    The class that the file names decides, for two may have the same weights; where it names none,
    these are of the head that has most of them. Raises CheckpointError for another class.
    """
    present = [kind for kind, head in heads.items() if head.has_weights(names, prefix)]
    if not present:
        return None
    classes = [str(each) for each in reader.get("architectures", list, [])]
    for kind, head in heads.items():
        if any(head.is_said_by(each) for each in classes):
            return kind
    if classes:
        known = ", ".join(head.architecture for head in heads.values())
        raise reader.error(
            f"the weights have a head over labels, and architectures is {', '.join(classes)}; "
            f"heads of these are known: {known}"
        )
    return max(present, key=lambda kind: len(heads[kind].parts(prefix)))
