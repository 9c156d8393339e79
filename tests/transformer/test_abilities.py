"""Abilities: what a model of each shape can do, which each refusal names."""

import itertools

import pytest
from msgspec import structs

from transformer.abilities import ABILITIES, KINDS, commands_of, require_ability
from transformer.errors import ConfigError
from transformer.presets import preset_config

SHAPES = {"write-tiny": "decoder", "translate-tiny": "encoder-decoder", "bert-base": "encoder"}


@pytest.mark.parametrize(("preset", "ability"), [*itertools.product(SHAPES, ABILITIES)])
def test_what_a_model_cannot_do_names_what_it_can(preset, ability):
    config = preset_config(preset, vocab_size=100)
    assert config.shape == SHAPES[preset]
    able = commands_of(config)
    assert able
    if ABILITIES[ability].is_of(config):
        require_ability(config, ability, "runs/x")
        assert any(command.startswith(ability) for command in able)
        return
    with pytest.raises(ConfigError) as refused:
        require_ability(config, ability, "runs/x")
    message = str(refused.value)
    assert message.startswith(f"the {KINDS[config.shape]} in runs/x cannot ")
    same = [command for command in able if command.split()[0] == ability.split()[0]]
    assert f"transduce {[*same, *able][0]} -m runs/x" in message
    assert all(command in message for command in able)
    assert message.count("transduce") == 1


def test_a_head_over_tags_tags_whatever_the_shape():
    head = {"head": "tagging", "labels": 3, "tie_output": True, "output_bias": True}
    for preset, also in (("bert-tiny", ["embed"]), ("write-tiny", [])):
        config = preset_config(preset, vocab_size=100, **head)
        assert commands_of(config) == ["tag", *also, "evaluate --tagged FILE"]
        with pytest.raises(ConfigError, match=r"cannot classify, .*: transduce tag -m x"):
            require_ability(config, "classify", "x")


def test_a_head_over_labels_classifies_whatever_the_shape():
    head = {"head": "classification", "labels": 2, "tie_output": True, "output_bias": True}
    for preset, also in (("bert-tiny", ["embed"]), ("write-tiny", [])):
        config = preset_config(preset, vocab_size=100, **head)
        assert commands_of(config) == ["classify", *also, "evaluate --labelled FILE"]
        with pytest.raises(
            ConfigError, match=r"the classifier of texts in x cannot gen.*: transduce classify -m x"
        ):
            require_ability(config, "generate", "x")


def test_masks_are_filled_by_encoders_with_the_head_for_it():
    masked = preset_config("bert-tiny", vocab_size=100)
    assert commands_of(masked) == ["fill", "embed", "evaluate --text FILE"]
    for head in ("none", "linear"):
        other = structs.replace(masked, head=head, tie_output=True, output_bias=False)
        assert commands_of(other) == ["embed"]
        with pytest.raises(ConfigError, match=r"cannot fill in masks.*: transduce embed -m x"):
            require_ability(other, "fill", "x")
