"""What makes tokens likelier or less likely, by hand."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from transformer.decoding.logits.processors import PROCESSORS, LogitsProcessorList
from transformer.decoding.request import Request, SequenceState
from transformer.loading import GenerationConfig
from transformer.loading.generation_config import read_generation_config
from transformer.pipelines.search_settings import model_processors

# The prompt is [1]; written are [2] of a source [4, 2, 2], and [3, 4, 3] of none.
ROWS = [
    SequenceState(Request(prompt=[1], max_new_tokens=9, source=[4, 2, 2]), [2]),
    SequenceState(Request(prompt=[1], max_new_tokens=9), [3, 4, 3]),
]
LOGITS_RV = torch.tensor([[1.0, 2.0, -3.0, 4.0, 5.0], [1.0, -2.0, 3.0, 4.0, -5.0]])


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("repetition-penalty", 2.0, [[1, 1, -6, 4, 5], [1, -4, 3, 2, -10]]),
        # The tokens of the source [4, 2], and of the prompt [1] where there is none.
        ("encoder-repetition-penalty", 2.0, [[1, 2, -1.5, 4, 10], [1, -1, 3, 4, -5]]),
        ("encoder-repetition-penalty", 0.5, [[1, 2, -6, 4, 2.5], [1, -4, 3, 4, -5]]),
        ("presence-penalty", 0.5, [[1, 2, -3.5, 4, 5], [1, -2, 3, 3.5, -5.5]]),
        ("presence-penalty", -2.0, [[1, 2, -1, 4, 5], [1, -2, 3, 6, -3]]),
        ("frequency-penalty", 0.5, [[1, 2, -3.5, 4, 5], [1, -2, 3, 3, -5.5]]),
        ("token-bias", {0: 2.0, 4: -1.0}, [[3, 2, -3, 4, 4], [3, -2, 3, 4, -6]]),
        ("token-bias", {}, LOGITS_RV.tolist()),
        # 4 after 3 has both of its biases; a sequence told twice has the last.
        (
            "sequence-bias",
            [([4], 1.0), ([3, 4], 0.5), ([4, 3, 4], 0.25), ([0], 9.0), ([0], 8.0), ([4, 4], 7.0)],
            [[9, 2, -3, 4, 6], [9, -2, 3, 4, -3.25]],
        ),
        # Two more than one are written: 1.5² - 1 = 1.25 times as much again.
        ("length-decay", (1, 1.5, [0, 4, 4]), [[1, 2, -3, 4, 5], [2.25, -2, 3, 4, 1.25]]),
        ("length-decay", (1, 0.5, [0]), [[1, 2, -3, 4, 5], [0.25, -2, 3, 4, -5]]),
    ],
)
def test_what_is_added(name: str, value: Any, wanted: list[list[float]]) -> None:
    found = PROCESSORS[name](value)(LOGITS_RV, ROWS)
    assert found.tolist() == [pytest.approx(row) for row in wanted]


def test_nothing_is_added_before_anything_is_written() -> None:
    rows = [SequenceState(Request(prompt=[1, 2, 2], max_new_tokens=9), [])] * 2
    for name in ("presence-penalty", "frequency-penalty"):
        assert torch.equal(PROCESSORS[name](1.0)(LOGITS_RV, rows), LOGITS_RV)


def test_a_source_of_another_vocabulary_has_no_effect_beyond_ours() -> None:
    rows = [SequenceState(Request(prompt=[1], max_new_tokens=9, source=[4, 99, 4, 5]), [4])] * 2
    found = PROCESSORS["encoder-repetition-penalty"](2.0)(LOGITS_RV, rows)
    assert found.tolist() == [[1, 2, -3, 4, 10], [1, -2, 3, 4, -2.5]]
    assert torch.equal(PROCESSORS["encoder-no-repeat-ngram"](2)(LOGITS_RV, rows), LOGITS_RV)


def test_penalties_of_what_is_forbidden_leave_it_so() -> None:
    forbidden_RV = torch.full((2, 5), -math.inf)
    process = LogitsProcessorList(
        {
            "sequence-bias": [([2], 3.0), ([3, 4], 1.0)],
            "token-bias": {2: -math.inf, 3: 1e9},
            "encoder-repetition-penalty": 3.0,
            "repetition-penalty": 3.0,
            "frequency-penalty": -3.0,
            "presence-penalty": -3.0,
            "length-decay": (0, 2.0, [2, 4]),
        }
    )
    assert torch.equal(process(forbidden_RV, ROWS), forbidden_RV)


def test_a_decay_that_goes_on_for_long_ends_the_text_and_stays_finite() -> None:
    """1000^400 is more than any float can hold."""
    rows = [SequenceState(Request(prompt=[1], max_new_tokens=999), [2] * 400)] * 2
    found = PROCESSORS["length-decay"]((0, 1000.0, [2]))(LOGITS_RV, rows)
    assert found.softmax(dim=-1)[:, 2].tolist() == [1, 1]


def test_a_models_own_settings_ask_for_penalties() -> None:
    config = GenerationConfig(
        eos_token_id=[2, 3],
        encoder_repetition_penalty=1.5,
        encoder_no_repeat_ngram_size=3,
        exponential_decay_length_penalty=(5, 1.1),
        sequence_bias=[([4, 5], -2.0)],
    )
    assert model_processors(config) == {
        "encoder-repetition-penalty": 1.5,
        "encoder-no-repeat-ngram": 3,
        "length-decay": (5, 1.1, [2, 3]),
        "sequence-bias": [([4, 5], -2.0)],
    }


def test_a_models_own_rules_leave_it_room_to_end() -> None:
    """Its end is no bad word; what is suppressed at first comes after what is forced."""
    rules = GenerationConfig(
        eos_token_id=[2, 3],
        bad_words_ids=[[2], [7, 8], [3], [6]],
        min_length=4,
        forced_bos_token_id=9,
        forced_eos_token_id=2,
        begin_suppress_tokens=[5],
        suppress_tokens=[11],
        no_repeat_ngram_size=3,
    )
    assert model_processors(rules) == {
        "bad-words": [[7, 8], [6]],
        "min-length": (4, [2, 3]),
        "forced-first": 9,
        "forced-last": [2],
        "suppress-first": (1, [5]),
        "suppress": [11],
        "no-repeat-ngram": 3,
    }
    others = GenerationConfig(eos_token_id=2, forced_eos_token_id=[2, 3], begin_suppress_tokens=[5])
    assert model_processors(others) == {"forced-last": [2, 3], "suppress-first": (0, [5])}


def test_neutral_settings_ask_for_nothing() -> None:
    config = GenerationConfig(
        eos_token_id=2,
        repetition_penalty=1.0,
        encoder_repetition_penalty=1.0,
        encoder_no_repeat_ngram_size=0,
        sequence_bias=[],
    )
    assert model_processors(config) == {}


def test_a_published_model_is_obeyed_but_for_its_sampling(tmp_path: Path) -> None:
    asked = {
        "eos_token_id": 2,
        "encoder_repetition_penalty": 1.2,
        "exponential_decay_length_penalty": [5, 1.1],
        "sequence_bias": [[[4, 5], -2.0], [[6], 1]],
        "do_sample": True,
        "temperature": 0.6,
        "typical_p": 0.9,
        "epsilon_cutoff": 3e-4,
        "eta_cutoff": 2e-3,
    }
    (tmp_path / "generation_config.json").write_text(json.dumps(asked))
    config = read_generation_config(
        tmp_path, {}, None, 37
    )  # its end is told, so no tokenizer is asked
    assert model_processors(config) == {
        "sequence-bias": [([4, 5], -2.0), ([6], 1.0)],
        "encoder-repetition-penalty": 1.2,
        "length-decay": (5, 1.1, [2]),
    }
