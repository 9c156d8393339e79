"""Models with languages ask for the target's, where nothing says which it is."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from tokenizers import AddedToken

from tests.pipelines.test_models import tiny_translator
from tokenizer import Tokenizer
from transformer.errors import ConfigError
from transformer.loading import LoadedModel
from transformer.pipelines.languages import translation_prompt, with_languages

NAMES = {
    "nllb": ["eng_Latn", "deu_Latn"],
    "mbart": ["en_XX", "de_DE"],
    "m2m": ["__en__", "__de__"],
}


def multilingual(*languages: str, **settings: Any) -> LoadedModel:
    loaded = tiny_translator()
    tokenizer = Tokenizer.from_json(loaded.tokenizer.to_json())
    tokenizer.backend.add_special_tokens([AddedToken(name, special=True) for name in languages])
    generation = msgspec.structs.replace(loaded.generation, **settings)
    return replace(loaded, tokenizer=tokenizer, generation=generation)


@pytest.mark.parametrize("family", NAMES)
def test_a_target_language_is_asked_for_by_name(family: str) -> None:
    loaded = multilingual(*NAMES[family], decoder_start_token_id=3)
    listed = ", ".join(sorted(name.strip("_") for name in NAMES[family]))
    with pytest.raises(ConfigError, match=f"name one with --to; it has: {listed}$"):
        translation_prompt(loaded, None, None)
    for name in NAMES[family]:
        prompt = translation_prompt(loaded, None, name.strip("_"))
        assert prompt.forced_first == loaded.tokenizer.token_id(name)


@pytest.mark.parametrize("family", NAMES)
def test_a_language_that_is_settled_is_not_asked_for(family: str) -> None:
    names = NAMES[family]
    loaded = multilingual(*names, decoder_start_token_id=3, forced_bos_token_id=280)
    assert translation_prompt(loaded, None, None).forced_first == 280
    token = multilingual(*names).tokenizer.token_id(names[1])
    starting = multilingual(*names, decoder_start_token_id=token)
    assert translation_prompt(starting, None, None).decoder_start_id == token
    only = multilingual(names[0], decoder_start_token_id=3)
    assert translation_prompt(only, None, None).forced_first is None


def test_chosen_languages_are_those_of_later_texts() -> None:
    """Of mBART, which starts with the target's, and of M2M-100, which writes it first."""
    french = multilingual("en_XX", "de_DE", "fr_XX").tokenizer.token_id("fr_XX")
    starting = multilingual("en_XX", "de_DE", "fr_XX", decoder_start_token_id=french)
    german = with_languages(starting.texts, None, "de")
    assert german.generation.decoder_start_token_id == starting.tokenizer.token_id("de_DE")
    assert translation_prompt(german, None, None) == translation_prompt(starting, None, "de")
    assert translation_prompt(german, None, None).forced_first is None
    m2m = multilingual("__en__", "__de__", decoder_start_token_id=3)
    affixes = ([m2m.tokenizer.token_id("__en__")], [3])
    texts = replace(m2m.texts, source_affixes=affixes)
    chosen = with_languages(texts, "de", "en")
    assert chosen.source_affixes == ([m2m.tokenizer.token_id("__de__")], [3])
    assert chosen.generation.forced_bos_token_id == m2m.tokenizer.token_id("__en__")
    assert translation_prompt(chosen, None, None) == translation_prompt(texts, "de", "en")
    assert with_languages(texts, None, "en").source_affixes == affixes
