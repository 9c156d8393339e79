"""CTranslate2 writes the same texts with the models that we give it."""

from pathlib import Path

import ctranslate2
import pytest
import torch

from tests.decoding.tables import build
from tests.families.published import VOCABULARY
from tests.loading.owned import own, small
from tests.models import WiderConfig, tiny_config
from tokenizer import Tokenizer
from transformer.config import TransformerConfig
from transformer.decoding.engine import decode_all
from transformer.decoding.request import Request
from transformer.decoding.steppers.model import ModelStepper
from transformer.errors import ConfigError
from transformer.export import convert_model
from transformer.export.ctranslate2 import KNOWN_FIELDS, _check
from transformer.layer_spec import LayerSpec, RotaryScaling
from transformer.loading import load_model

LENGTH = 12
LEARNED = {"positions": "learned", "position_offset": 2}
TRANSLATORS = {
    "marian": {"positions": "sinusoidal-halves", "feedforward": "silu", "output_bias": True},
    "bart": {**LEARNED, "embedding_norm": True, "feedforward": "gelu", "embedding_scale": False},
    "mbart": {**LEARNED, "embedding_norm": True, "norm_placement": "pre", "final_norm": True},
    "m2m": {
        "positions": "sinusoidal-tensor2tensor",
        "position_offset": 2,
        "norm_placement": "pre",
        "final_norm": True,
    },
    "ours": {"norm_placement": "pre", "final_norm": True},
    "wide": {"d_head": 6},
    "separate": {"share_embeddings": False, "tie_output": False, "norm_eps": 1e-3},
}
WRITERS = ("gpt2", "write-tiny")


def searched(loaded, rows: list[list[int]], beams: int) -> list[list[int]]:
    """What we write. CTranslate2 stops as soon as it has as many texts as beams."""
    own = {"beam": beams, "early_stopping": True} if beams > 1 else {}
    name, end = "beam" if beams > 1 else "greedy", frozenset(loaded.generation.end_ids)
    tasks = [
        Request(prompt=row, max_new_tokens=LENGTH)
        if loaded.model.encoder is None
        else Request(prompt=[loaded.decoder_start_id], source=row, max_new_tokens=LENGTH)
        for row in rows
    ]
    found = decode_all(ModelStepper(loaded.model), build(name, end_ids=end, **own), tasks)
    return [best.ids for best, *_ in found]


def written(folder: Path, config: TransformerConfig, tokenizer: Tokenizer) -> Path:
    own(folder / "ours", config, tokenizer)
    convert_model(folder / "ours", folder / "theirs", to="ctranslate2")
    return folder / "theirs"


@pytest.mark.parametrize("beams", [1, 4])
@pytest.mark.parametrize("name", TRANSLATORS)
@torch.inference_mode()
def test_translations(name: str, beams: int, tmp_path: Path, tokenizer: Tokenizer) -> None:
    fields = {"vocab_size": VOCABULARY, "max_positions": 40, **TRANSLATORS[name]}
    theirs = written(tmp_path, tiny_config("encoder-decoder", **fields), tokenizer)
    rows = [[*torch.randint(4, VOCABULARY, (size,)).tolist(), 3] for size in (7, 3, 9, 5)]
    names = [[tokenizer.token(i) for i in row] for row in rows]
    translator = ctranslate2.Translator(str(theirs), inter_threads=1, intra_threads=1)
    found = translator.translate_batch(
        names, beam_size=beams, max_decoding_length=LENGTH, length_penalty=1.0
    )
    texts = [[tokenizer.token_id(t) for t in answer.hypotheses[0]] for answer in found]
    assert texts == searched(load_model(tmp_path / "ours", device="cpu"), rows, beams)


@pytest.mark.parametrize("beams", [1, 4])
@pytest.mark.parametrize("preset", WRITERS)
@torch.inference_mode()
def test_continuations(preset: str, beams: int, tmp_path: Path, tokenizer: Tokenizer) -> None:
    theirs = written(tmp_path, small(preset), tokenizer)
    rows = [torch.randint(4, VOCABULARY, (6,)).tolist() for _ in range(3)]
    names = [[tokenizer.token(i) for i in row] for row in rows]
    generator = ctranslate2.Generator(str(theirs), inter_threads=1, intra_threads=1)
    found = generator.generate_batch(
        names,
        beam_size=beams,
        max_length=LENGTH,
        length_penalty=1.0,
        sampling_topk=1,
        include_prompt_in_result=False,
    )
    texts = [[tokenizer.token_id(t) for t in answer.sequences[0]] for answer in found]
    assert texts == searched(load_model(tmp_path / "ours", device="cpu"), rows, beams)


@pytest.mark.parametrize(
    "changes", [{"positions": "alibi"}, {"attention": "sliding"}, {"attention": "ssru"}]
)
def test_what_it_does_not_have_is_named(
    changes: dict[str, str], tmp_path: Path, tokenizer: Tokenizer
) -> None:
    ((field, value),) = changes.items()
    config = tiny_config("decoder", vocab_size=VOCABULARY, **changes)
    with pytest.raises(ConfigError, match=f"{field} is '{value}'"):
        written(tmp_path, config, tokenizer)


SCALING = RotaryScaling(factor=2.0)
OWN = {
    "attention": (LayerSpec(attention="sliding"), LayerSpec()),
    "attention, positions": (LayerSpec(attention="linear"), LayerSpec(positions="none")),
    "rotary_base, rotary_scaling": (LayerSpec(rotary_base=9.0, rotary_scaling=SCALING),),
}


@pytest.mark.parametrize("own", OWN)
def test_layers_that_differ_are_refused_in_words(own: str) -> None:
    config = tiny_config("decoder", positions="rotary", layers=OWN[own])
    with pytest.raises(ConfigError, match=f"no such networks: layers have {own} of their own$"):
        _check(config)


def test_rotary_scaling_is_refused_by_its_kind() -> None:
    config = tiny_config("decoder", positions="rotary", rotary_scaling=SCALING)
    with pytest.raises(ConfigError, match=r"no such networks: rotary_scaling is 'linear'$"):
        _check(config)


def test_layers_of_which_none_differs_are_those_of_a_plain_network() -> None:
    _check(tiny_config("decoder", positions="rotary", layers=(LayerSpec(), LayerSpec())))


def test_every_field_is_known() -> None:
    """A new field of a configuration must be decided on in the export."""
    assert set(TransformerConfig.__struct_fields__) == KNOWN_FIELDS


@pytest.mark.parametrize(
    ("field", "value"),
    [("mixing", 0.5), ("norm", "new"), ("norm_placement", "new"), ("feedforward", "new")],
)
def test_what_is_not_known_is_refused(field: str, value: object) -> None:
    sizes = {"shape": "decoder", "vocab_size": 9, "decoder_layers": 1, "positions": "rotary"}
    _check(WiderConfig(**sizes))
    with pytest.raises(
        ConfigError, match=f"^CTranslate2 has no such networks: {field} is {value!r}$"
    ):
        _check(WiderConfig(**{**sizes, field: value}))
