"""Random models of every family answer as transformers does, as published, as ours, and back."""

from pathlib import Path

import pytest

from tests.families.parity import differences
from tests.families.random_folders import (
    EDITS,
    NETWORKS,
    SETTINGS,
    WRAPPERS,
    draw,
    draw_labelled,
)
from transformer import families

pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{words}")
    for words in (
        "Recommended. pip install sacremoses",
        "Unfeasible length constraints",
        "Both `min_new_tokens`",
    )
]

WIDE = 30  # models of each family in the long run


def test_every_family_is_drawn() -> None:
    assert NETWORKS.keys() == families.FAMILIES.keys() - {families.MODEL_TYPE}


def test_every_option_is_drawn_in_the_long_run() -> None:
    for family, options in NETWORKS.items():
        drawn = [draw(family, seed) for seed in range(WIDE)]
        assert {name for one in drawn for name in one.network} >= options.keys()
    drawn = [draw(family, seed) for family in NETWORKS for seed in range(WIDE)]
    for family, edits in EDITS.items():
        tried = [one.edits for one in drawn if one.family == family]
        assert all(edit in tried for edit in edits), family
    assert {one.wrapper for one in drawn if one.stored == "safetensors"} >= {*WRAPPERS}
    assert any(one.spare_rows < 0 for one in drawn)
    assert {name for one in drawn for name in one.settings} >= SETTINGS.keys()


@pytest.mark.parametrize("family", NETWORKS)
def test_a_random_model_answers_as_transformers_does(family: str, tmp_path: Path) -> None:
    assert list(differences(draw(family, 1), tmp_path)) == []


LABELLED = [
    (name, f"For{head.architecture.rpartition('For')[2]}")
    for name, family in families.FAMILIES.items()
    for head in family.label_heads.values()
]


# The second of Llama reads a pair of texts by its own rule, rather than a tokenizer.json's.
FEW_LABELLED = [*((*case, 1) for case in LABELLED), ("llama", "ForSequenceClassification", 2)]


@pytest.mark.parametrize(("family", "classifier", "seed"), FEW_LABELLED)
def test_a_random_classifier_answers_as_transformers_does(
    family: str, classifier: str, seed: int, tmp_path: Path
) -> None:
    assert list(differences(draw_labelled(family, seed, classifier), tmp_path)) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(WIDE))
@pytest.mark.parametrize(("family", "classifier"), LABELLED)
def test_many_random_classifiers_do(
    family: str, classifier: str, seed: int, tmp_path: Path
) -> None:
    assert list(differences(draw_labelled(family, seed, classifier), tmp_path)) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(WIDE))
@pytest.mark.parametrize("family", NETWORKS)
def test_many_random_models_do(family: str, seed: int, tmp_path: Path) -> None:
    assert list(differences(draw(family, seed), tmp_path)) == []
