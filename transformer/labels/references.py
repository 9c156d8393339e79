"""Labels of texts that a model's answers are compared with: those that it lacks count as missed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tokenizer import CorpusError
from tokenizer.quantities import format_count

from .inventory import LabelInventory, parse_number, sort_labels
from .labelled_text import LabelledText
from .quoting import first_words, quoted_labels


class References(NamedTuple):
    """Texts with the labels that a model should give them.

    Of N texts and L names, `targets` are (N) the number of each text's label, (N, L) ones for all
    labels of a text, or (N, 1) numbers.
    """

    texts: list[LabelledText]
    names: tuple[str, ...]  # the model's labels, then those of the texts that it lacks
    targets: npt.NDArray[Any]
    notices: list[str]  # of what was left out, or is not as it stands


def label_references(
    texts: Sequence[LabelledText], inventory: LabelInventory, *, name: str
) -> References:
    """Return the targets of texts for a model with the labels of an inventory.

    A label that the model lacks is one that it cannot give, so that it is wrong about such a text.
    If it has none of them and all are numbers of its labels, they are taken for these. `name` is
    that of the texts. Raises CorpusError where nothing can be compared.
    """
    kept = [text for text in texts if text.labels.values or inventory.kind == "multi"]
    notices = []
    if missing := len(texts) - len(kept):
        count = format_count(missing, "text without a label", "texts without a label")
        notices.append(f"{name}: {count} left out")
    if not kept:
        raise CorpusError(f"{name} has no text with a label")
    several = next((t.labels.values for t in kept if len(t.labels.values) > 1), None)
    if several and inventory.kind != "multi":
        raise CorpusError(
            f"{name}: a text has {format_count(len(several), 'label')} ({quoted_labels(several)}); "
            "the model gives one"
        )
    if inventory.kind == "number":
        numbers = [[parse_number(text.labels.values[0], name)] for text in kept]
        return References(kept, inventory.names, np.array(numbers), notices)
    ids, names = _ids(kept, inventory, name, notices)
    return References(kept, names, _targets(kept, ids, len(names), inventory.kind), notices)


def _ids(
    texts: Sequence[LabelledText], inventory: LabelInventory, name: str, notices: list[str]
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return the number of each label, and the names by these numbers."""
    counts = Counter(label for text in texts for label in text.labels.values)
    unknown = inventory.unseen(counts)
    if not counts or len(unknown) < len(counts):
        if unknown:
            size = sum(any(each in unknown for each in text.labels.values) for text in texts)
            most = sorted(unknown, key=lambda each: -counts[each])
            notices.append(
                f"{name}: {format_count(size, 'text')} with a label that the model lacks, which "
                f"counts as missed: {quoted_labels(most)}"
            )
        names = (*inventory.names, *sort_labels(unknown))
        return {label: number for number, label in enumerate(names)}, names
    by_number = {str(number): number for number in range(len(inventory.names))}
    if counts.keys() <= by_number.keys():
        pairs = (f"{each} {inventory.names[by_number[each]]!r}" for each in sort_labels(counts))
        notices.append(f"{name}: labels are numbers of the model's: {first_words(pairs)}")
        return by_number, inventory.names
    raise CorpusError(
        f"{name}: none of its labels ({quoted_labels(counts)}) is one of the model's "
        f"({quoted_labels(inventory.names)}); --columns names the columns, the label's last"
    )


def _targets(
    texts: Sequence[LabelledText], ids: Mapping[str, int], size: int, kind: str
) -> npt.NDArray[Any]:
    if kind == "single":
        return np.array([ids[text.labels.values[0]] for text in texts], dtype=np.int64)
    targets_NL = np.zeros((len(texts), size), dtype=np.int64)
    for row, text in enumerate(texts):
        targets_NL[row, [ids[label] for label in text.labels.values]] = 1
    return targets_NL
