"""Global tokens that a user chooses: what each command computes with them, and who may not."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.loading.owned import own
from tests.models import tiny_config
from tests.pipelines.test_models import tiny_translator
from tokenizer import TrainingOptions, train_tokenizer
from transformer.data import pad_global, pad_rows
from transformer.errors import ConfigError
from transformer.inputs import ModelInputs
from transformer.loading import LoadedModel, load_model
from transformer.pipelines.arguments import (
    ClassifyArguments,
    EmbedArguments,
    FillArguments,
    TagArguments,
    TranslateArguments,
)
from transformer.pipelines.records import IterableSource, Line
from transformer.pipelines.session import Session

TEXT = "the cat sat on the mat <mask>"
KINDS: dict[str, dict[str, Any]] = {
    "fill": {"head": "masked"},
    "embed": {"head": "none"},
    "classify": {"head": "classification", "labels": 3},
    "tag": {"head": "tagging", "labels": 3},
    "translate": {"shape": "encoder-decoder"},
}
ARGUMENTS: dict[str, Callable[..., Any]] = {
    "fill": FillArguments,
    "embed": EmbedArguments,
    "classify": ClassifyArguments,
    "tag": TagArguments,
    "translate": lambda **given: TranslateArguments(beam=1, max_tokens=8, no_guard=True, **given),
}


def load(command: str, folder: Path, **changes: Any) -> LoadedModel:
    options = TrainingOptions(kind="byte-bpe", vocab_size=300, special=("<mask>",))
    tokenizer = train_tokenizer(["the cat sat on the mat"] * 9, options)
    fields = {"shape": "encoder", "attention": "longformer", "window": 2, **KINDS[command]}
    fields |= {"vocab_size": tokenizer.vocab_size, "max_positions": 60, **changes}
    labels = ["a", "b", "c"] if "labels" in fields else []
    own(folder, tiny_config(**fields), tokenizer, labels)
    return replace(load_model(folder, device="cpu"), source_affixes=([5, 6], [7]))


def answer(loaded: LoadedModel, command: str, **given: Any) -> Any:
    lines, counts = IterableSource([TEXT, "the mat <mask>"]), Counter[str]()
    arguments = ARGUMENTS[command](**given)
    answers = list(getattr(Session([loaded]), command)(lines, arguments, counts))
    assert [each.error for each in answers] == [None, None]
    return [plain(each.outputs[0]) for each in answers]


def plain(output: Any) -> Any:
    """What is compared of an answer."""
    if hasattr(output, "vector"):
        return output.vector.tolist()
    if hasattr(output, "hypothesis"):
        return output.hypothesis.log_probabilities
    return output.fills if hasattr(output, "fills") else output


@pytest.mark.parametrize("command", KINDS)
def test_the_first_tokens_are_global_as_many_as_are_asked_for(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The numbers themselves are those of the network with these indices, in its other tests."""
    loaded = load(command, tmp_path)
    seen: list[Tensor | None] = []
    encode = loaded.model.encode
    monkeypatch.setattr(
        loaded.model,
        "encode",
        lambda inputs: seen.append(inputs.global_tokens_BG) or encode(inputs),
    )
    default = answer(loaded, command)
    assert all(each is None for each in seen)
    seen.clear()
    assert answer(loaded, command, global_tokens=1) == default
    for number in (0, 3, 1000):
        seen.clear()
        assert answer(loaded, command, global_tokens=number) != default
        rows = [row.tolist() for each in seen for row in each]
        found = sorted([index for index in row if index >= 0] for row in rows)
        assert all(row == list(range(len(row))) for row in found)
        lengths = {len(row) for row in found}
        assert lengths == {number} if number < 1000 else min(lengths) > 3


@pytest.mark.parametrize("command", KINDS)
def test_another_kind_of_model_is_refused(command: str, tmp_path: Path) -> None:
    loaded = load(command, tmp_path, attention="full")
    answer(loaded, command)
    with pytest.raises(ConfigError, match=r"^--global-tokens: .* has no such tokens; only longf"):
        answer(loaded, command, global_tokens=1)


@torch.no_grad()
def test_rows_may_have_other_global_tokens_and_lengths() -> None:
    cpu = torch.device("cpu")
    assert pad_global([None, None], [3, 4], cpu) is None
    chosen = pad_global([None, (), (2, 0, 9)], [3, 4, 5], cpu)
    assert chosen is not None
    assert chosen.tolist() == [[0, -1], [-1, -1], [2, 0]]
    inputs = pad_rows([[5, 6], [7]], cpu, global_tokens=[(1,), None])
    assert inputs.global_tokens_BG is not None
    assert inputs.global_tokens_BG.tolist() == [[1], [0]]
    assert isinstance(pad_rows([[5]], cpu), ModelInputs)


def test_a_translator_of_full_attention_is_asked_nothing() -> None:
    with pytest.raises(ConfigError, match="--global-tokens"):
        answer(tiny_translator(), "translate", global_tokens=2)


class Seen:
    """The global tokens of each row that an encoder reads, sorted; and the rows' ids."""

    def __init__(self, loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows: list[list[int]] = []
        self.ids: list[list[int]] = []
        self._encode = loaded.model.encode
        monkeypatch.setattr(loaded.model, "encode", self)

    def __call__(self, inputs: ModelInputs) -> Tensor:
        assert inputs.global_tokens_BG is not None
        for row, ids, places in zip(
            inputs.global_tokens_BG, inputs.ids_BT, inputs.positions_BT, strict=True
        ):
            self.rows.append(sorted(index for index in row.tolist() if index >= 0))
            self.ids.append(ids[places >= 0].tolist())
        return self._encode(inputs)


class Records(IterableSource):
    """Lines of JSON records."""

    def __init__(self, lines: list[Line]) -> None:
        super().__init__([line.text for line in lines])
        self._records = iter(lines)

    def take(self, limit: int, *, wait: bool) -> list[Line] | None:
        taken = super().take(limit, wait=wait)
        return None if taken is None else [next(self._records) for _ in taken]


def answers_of(loaded: LoadedModel, command: str, line: Line, **given: Any) -> Any:
    arguments = ARGUMENTS[command](**given)
    asked = getattr(Session([loaded]), command)(Records([line]), arguments, Counter())
    (found,) = asked
    return found


WORDS = "the cat sat on the mat, and the cat"
SPANS: list[Any] = [[19, 22], {"start": 28, "end": 31}]  # "mat" and "the"


@pytest.mark.parametrize("command", ["embed", "classify", "tag", "translate"])
@pytest.mark.parametrize("number", [None, 0, 2])
def test_the_tokens_of_a_records_spans_are_global_too(
    command: str, number: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load(command, tmp_path)
    tokenizer, seen = loaded.tokenizer, Seen(loaded, monkeypatch)
    line = Line(0, WORDS, fields={"global": SPANS})
    assert answers_of(loaded, command, line, global_tokens=number).error is None
    before = len(seen.ids[0]) - len(tokenizer.encode(WORDS)) - len(loaded.special_affixes[1])
    assert before == 2
    encoded = tokenizer.encode_with_offsets(WORDS)
    first = range(1 if number is None else number)
    named = [
        before + index
        for index, (start, end) in enumerate(encoded.offsets)
        if (start < 22 and end > 19) or (start < 31 and end > 28)
    ]
    assert len(named) >= 2
    assert seen.rows[0] == sorted({*first, *named})


def test_spans_count_in_the_text_without_its_prompt_and_after_other_sentences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load("embed", tmp_path / "embed")
    line = Line(0, WORDS, fields={"global": [[4, 7]]})
    seen = Seen(loaded, monkeypatch)
    answers_of(loaded, "embed", line, global_tokens=0, prompt="the mat: ")
    answers_of(loaded, "embed", line, global_tokens=0, prompt="")
    texts = [[ids[i] for i in row] for row, ids in zip(seen.rows, seen.ids, strict=True)]
    assert texts[0] == texts[1]
    assert seen.rows[0][0] > seen.rows[1][0]
    loaded = load("translate", tmp_path / "translate")
    seen, text = Seen(loaded, monkeypatch), "The cat sat.  The mat sat. The cat sat."
    line = Line(0, text, fields={"global": [[18, 21]]})  # "mat"
    answers_of(loaded, "translate", line, global_tokens=0, split=True)
    assert sorted(map(len, seen.rows)) == [0, 0, len(loaded.tokenizer.encode(" mat"))]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("all", "the field 'global' has 'all', where spans of characters are expected"),
        ([[1]], r"has '\[1\]', where spans"),
        ([[0, True]], "where spans of characters are expected"),
        ([[3, 99]], "the field 'global' has the characters 3 to 99; the text has 35 characters"),
        ([[3, 3]], "the characters 3 to 3"),
        ([{"start": 1}], "where spans"),
    ],
)
@pytest.mark.parametrize("command", ["embed", "classify", "tag", "translate"])
def test_what_is_no_span_is_the_lines_error(
    command: str, value: Any, words: str, tmp_path: Path
) -> None:
    loaded = load(command, tmp_path)
    found = answers_of(loaded, command, Line(0, WORDS, fields={"global": value}))
    assert re.search(words, str(found.error))


def test_a_line_with_masks_has_no_spans_and_other_models_have_their_own_fields(
    tmp_path: Path,
) -> None:
    line = Line(0, TEXT, fields={"global": [[0, 3]]})
    error = answers_of(load("fill", tmp_path / "long"), "fill", line).error
    assert error == "the field 'global' is not read with masks: use --global-tokens"
    full = load("fill", tmp_path / "full", attention="full")
    assert answers_of(full, "fill", line).error is None
