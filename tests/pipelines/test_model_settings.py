"""Lengths, stops and forced tokens of a model's generation_config.json; a flag wins over them."""

from collections import Counter
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from tests.pipelines.test_models import tiny_translator, tiny_writer
from transformer.loading import LoadedModel
from transformer.pipelines.arguments import GenerateArguments, TranslateArguments
from transformer.pipelines.records import IterableSource, Output
from transformer.pipelines.session import Session


def with_settings(loaded: LoadedModel, **settings: Any) -> LoadedModel:
    settings = {"suppress_tokens": list(loaded.generation.end_ids), **settings}
    return replace(loaded, generation=msgspec.structs.replace(loaded.generation, **settings))


def translated(settings: dict[str, Any], **asked: Any) -> Output:
    session = Session([with_settings(tiny_translator(), **settings)])
    arguments = TranslateArguments(beam=1, no_guard=True, **asked)
    (answer,) = session.translate(IterableSource(["one two"]), arguments, Counter())
    return answer.outputs[0]


def written(settings: dict[str, Any], **asked: Any) -> Output:
    session = Session([with_settings(tiny_writer(), **settings)])
    arguments = GenerateArguments(beam=1, **asked)
    (answer,) = session.generate(IterableSource(["one two"]), arguments, Counter())
    return answer.outputs[0]


@pytest.mark.parametrize("answer", [translated, written])
def test_the_limit_of_new_tokens(answer: Any) -> None:
    assert len(answer({"max_new_tokens": 7}).hypothesis.ids) == 7
    assert len(answer({"max_new_tokens": 7, "max_length": 3}).hypothesis.ids) == 7
    assert len(answer({"max_new_tokens": 7}, max_tokens=4).hypothesis.ids) == 4
    assert len(answer({"max_length": 3}, max_tokens=4).hypothesis.ids) == 4


def test_the_limit_of_all_tokens_counts_the_prompt_or_the_start() -> None:
    assert len(translated({"max_length": 6}).hypothesis.ids) == 5
    whole = written({"max_length": 12})
    prompt = len(whole.request.prompt)
    assert len(whole.hypothesis.ids) == 12 - prompt > 0
    assert len(written({"max_length": 1}).hypothesis.ids) == 1


@pytest.mark.parametrize("answer", [translated, written])
def test_the_least_of_new_tokens(answer: Any) -> None:
    """Ends are likeliest, and come as soon as they may."""
    ends: dict[str, Any] = {"suppress_tokens": None, "sequence_bias": [([3], 100.0)]}
    assert len(answer(ends).hypothesis.ids) == 0
    assert len(answer({**ends, "min_new_tokens": 4}).hypothesis.ids) == 4
    assert len(answer({**ends, "min_new_tokens": 4, "min_length": 9}).hypothesis.ids) == 4
    assert len(answer({**ends, "min_new_tokens": 4}, min_tokens=2).hypothesis.ids) == 2


@pytest.mark.parametrize("answer", [translated, written])
def test_a_text_ends_with_the_models_string_and_before_the_users(answer: Any) -> None:
    text = answer({"max_new_tokens": 30}).text
    stop = text[4:7]
    assert stop
    found = answer({"max_new_tokens": 30, "stop_strings": [stop]})
    assert found.text == text[: len(found.text)]
    assert stop in found.text and stop not in found.text[:-3]
    assert found.hypothesis.finish_reason == "stop"
    asked = answer({"max_new_tokens": 30, "stop_strings": text[2:4]}, stop=[stop])
    assert asked.text == text[: text.index(stop)]


def test_tokens_of_some_positions_are_forced() -> None:
    """Position 0 is the start's; a position without a token is free."""
    settings = {"max_new_tokens": 5, "forced_decoder_ids": [(1, 6), (2, None), (4, 7)]}
    ids, free = (
        translated(settings).hypothesis.ids,
        translated({"max_new_tokens": 5}).hypothesis.ids,
    )
    assert (ids[0], ids[3]) == (6, 7)
    assert len(free) == 5 and free != ids
