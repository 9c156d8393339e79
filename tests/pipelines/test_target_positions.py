"""A decoder with fewer positions than the encoder beside it: each side has its own limit."""

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from tests.loading.owned import own
from tests.models import tiny_config, tiny_model
from tests.pipelines.test_models import tiny_translator
from transformer.decoding.search.tokenwise import GreedyParameters
from transformer.errors import ConfigError
from transformer.export.ctranslate2 import _check as check_for_ctranslate2
from transformer.export.published import published_family
from transformer.loading import LoadedModel, summarize_model
from transformer.parameters import parameters_by_part
from transformer.pipelines.arguments import ScoreArguments, TranslateArguments
from transformer.pipelines.compatibility import check_ensemble
from transformer.pipelines.records import IterableSource
from transformer.pipelines.session import Session
from transformer.pipelines.speculation import speculative_search
from transformer.training.network_config import model_config
from transformer.training.recipe import recipe_from_fields

SOURCE, TARGET = 60, 12
LIMITS = {"max_positions": SOURCE, "max_target_positions": TARGET}


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    plain = tiny_translator()
    size = plain.tokenizer.vocab_size
    model = tiny_model("encoder-decoder", vocab_size=size, positions="learned", **LIMITS)
    return LoadedModel(model, plain.tokenizer, plain.generation, Path("nowhere"))


@pytest.mark.parametrize("asked", [{"beam": 1}, {"beam": 3}], ids=str)
def test_a_translation_ends_where_the_positions_do(loaded: LoadedModel, asked: dict) -> None:
    """The source is longer than that, and the limit that is asked for too."""
    arguments = TranslateArguments(max_tokens=50, min_tokens=40, no_guard=True, **asked)
    text = "one two three " * 5
    assert TARGET < len(loaded.tokenizer.encode(text)) < SOURCE
    (answer,) = Session([loaded]).translate(IterableSource([text]), arguments, Counter())
    assert len(answer.outputs[0].hypothesis.ids) == TARGET


def test_each_side_of_a_pair_has_its_limit(loaded: LoadedModel) -> None:
    long, short = "one two three " * 4, "one"
    longest = len(loaded.tokenizer.encode(long))
    assert TARGET < longest < SOURCE
    pairs = [f"{long}\t{short}", f"{short}\t{long}", f"{long * 4}\t{short}"]
    answers = list(Session([loaded]).score(IterableSource(pairs), ScoreArguments(), Counter()))
    assert answers[0].error is None
    assert "the model's context is 12" in str(answers[1].error)
    assert "the model's context is 60" in str(answers[2].error)


def test_the_limit_counts_where_models_are_put_together(loaded: LoadedModel) -> None:
    wider = tiny_translator()
    assert check_ensemble([wider, loaded]) is loaded
    with pytest.raises(ConfigError, match="its context is 12, not 64 or more"):
        speculative_search(GreedyParameters(end_ids=frozenset({2})), wider, loaded)


def test_the_weights_of_each_stack_are_counted() -> None:
    config = tiny_config("encoder-decoder", positions="learned", **LIMITS)
    assert parameters_by_part(config)["positions"] == (SOURCE + TARGET) * config.d_model


@pytest.mark.parametrize("shape", ["encoder", "decoder"])
def test_one_stack_alone_has_no_second_limit(shape: str) -> None:
    with pytest.raises(ConfigError, match="max_target_positions needs the shape encoder-decoder"):
        tiny_config(shape, max_target_positions=4)


def test_formats_without_a_second_limit_refuse_it() -> None:
    config = tiny_config(
        "encoder-decoder",
        positions="learned",
        position_offset=2,
        feedforward="gelu",
        embedding_norm=True,
        embedding_scale=False,
        max_positions=SOURCE,
    )
    assert published_family(config) == "bart"
    limited = msgspec.structs.replace(config, max_target_positions=TARGET)
    assert published_family(limited) is None
    with pytest.raises(ConfigError, match="no such networks: max_target_positions is 12"):
        check_for_ctranslate2(limited)


def test_a_recipe_trains_on_no_longer_texts_than_each_side_reads() -> None:
    fields = {"data": {"source": ["a"], "target": ["b"], "max_tokens": 30}}
    model = {"preset": "translate-tiny", "max_target_positions": TARGET}
    recipe = recipe_from_fields({**fields, "objective": "translation", "model": model})
    with pytest.raises(ConfigError, match=r"model\.max_target_positions is 12, but"):
        model_config(recipe, 100)


def test_a_summary_tells_both(tmp_path: Path, loaded: LoadedModel) -> None:
    own(tmp_path, loaded.config, loaded.tokenizer)
    assert ("context", "60 tokens, outputs 12 tokens") in summarize_model(tmp_path)
