"""Settings of decoding are those that transformers takes from the same two files."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import transformers

from checkpoints import CheckpointError
from tests.families.published import make
from tokenizer import Tokenizer
from transformer.loading import settings_left_to_user
from transformer.loading.generation_config import read_generation_config

END = {"eos_token_id": 2}
BOTH: list[tuple[dict[str, Any], dict[str, Any] | None]] = [
    ({**END, "num_beams": 4, "max_length": 30, "no_repeat_ngram_size": 3}, None),
    ({**END, "num_beams": 4, "max_length": 30, "no_repeat_ngram_size": 3}, END),
    ({**END, "forced_bos_token_id": 5, "bad_words_ids": [[7]]}, {**END, "num_beams": 2}),
    ({**END, "bos_token_id": 6, "force_bos_token_to_be_generated": True}, None),
    ({**END, "bos_token_id": 6, "force_bos_token_to_be_generated": True}, {**END}),
    (END, {**END, "max_new_tokens": 5, "min_new_tokens": 2, "max_length": 9, "min_length": 4}),
    ({**END, "max_new_tokens": 5, "min_new_tokens": 2}, None),
    (END, {**END, "renormalize_logits": True, "stop_strings": ["a", "b"]}),
    (END, {**END, "num_beams": None, "length_penalty": 0.5}),
    ({"eos_token_id": 3}, {"eos_token_id": [2, 4]}),
]


@pytest.mark.parametrize(("config", "generation"), BOTH)
def test_settings_are_those_of_transformers(
    config: dict, generation: dict | None, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    make("bart", 0, tmp_path)
    path = tmp_path / "config.json"
    fields = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in fields.items() if "token_id" not in k} | config))
    (tmp_path / "generation_config.json").unlink()
    if generation is not None:
        (tmp_path / "generation_config.json").write_text(json.dumps(generation))
    theirs = transformers.BartForConditionalGeneration.from_pretrained(tmp_path).generation_config
    options = json.loads(path.read_text())
    ours = read_generation_config(tmp_path, options, tokenizer, 37)
    wanted = {field: getattr(theirs, field, None) for field in ours.__struct_fields__}
    if generation is not None and "bos_token_id" in config and "bos_token_id" not in generation:
        wanted["bos_token_id"] = 6  # a start, without which transformers writes nothing
    assert msgspec.to_builtins(ours) == wanted


def test_an_end_is_looked_for_wherever_there_may_be_one(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    """transformers would never end such a text."""
    (tmp_path / "generation_config.json").write_text("{}")
    found = read_generation_config(tmp_path, {"eos_token_id": 9, "num_beams": 3}, tokenizer, 37)
    assert (found.eos_token_id, found.num_beams) == (9, None)
    found = read_generation_config(tmp_path, {}, tokenizer, 37)
    assert found.eos_token_id == tokenizer.role("end")


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        ({"do_sample": True, "temperature": 0.6, "top_p": 0.9}, True),
        ({"do_sample": False, "temperature": 1.0, "top_k": 50, "top_p": 1.0}, False),
        ({"num_return_sequences": 3, "max_time": 1.5, "top_h": 0.4}, True),
        (
            {"assistant_confidence_threshold": 0.9, "num_beams": 4, "prompt_lookup_num_tokens": 3},
            False,
        ),
    ],
)
def test_what_is_left_to_the_user_is_told(
    settings: dict, left: bool, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    (tmp_path / "generation_config.json").write_text(json.dumps({**END, **settings}))
    assert settings_left_to_user(tmp_path, {}) == (settings if left else {})
    read_generation_config(tmp_path, {}, tokenizer, 37)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"token_healing": True}, "token_healing = True is not supported"),
        ({"watermarking_config": {"bias": 2}}, "watermarking_config = .* is not supported"),
        ({"forced_decoder_ids": [[1, 99]]}, "forced_decoder_ids is 99"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"stop_strings": [3]}, "stop_strings"),
    ],
)
def test_settings_that_cannot_be_obeyed_are_refused(
    settings: dict, words: str, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    for generation in (settings, None):
        if generation is not None:
            (tmp_path / "generation_config.json").write_text(json.dumps({**END, **generation}))
        else:
            (tmp_path / "generation_config.json").unlink()
        with pytest.raises(CheckpointError, match=words):
            read_generation_config(tmp_path, {**END, **settings}, tokenizer, 37)


@pytest.mark.parametrize("value", [True, False, 0, {}, []])
def test_a_setting_that_nobody_knows_is_refused(
    value: Any, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    """Off may be the change."""
    (tmp_path / "generation_config.json").write_text(json.dumps({**END, "use_ending": value}))
    with pytest.raises(CheckpointError, match=r"the option use_ending = .* is not known"):
        read_generation_config(tmp_path, END, tokenizer, 37)
