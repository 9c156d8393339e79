"""Global tokens that a user chooses: what each command computes with them, and who may not."""

from collections import Counter
from collections.abc import Callable
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
from transformer.pipelines.records import IterableSource
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
    return load_model(folder, device="cpu")


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
