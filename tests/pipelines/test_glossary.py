"""Glossaries: which entries a text has, and how a phrase is written so that it is found."""

import json
import time
from pathlib import Path

import pytest
import torch

from tests.decoding.tables import TableStepper
from tests.models import tiny_model
from tests.tokenizer.pretrained.folders import LLAMA, sentencepiece_model, write
from tokenizer import TOKENIZERS, TrainingOptions, read_tokenizers, train_tokenizer
from transformer.decoding import ModelStepper, Request
from transformer.decoding import decode_all as write_texts
from transformer.decoding.search import BeamParameters
from transformer.errors import ConfigError
from transformer.pipelines.glossary import Glossary, GlossaryEntry, phrase_ids

LINES = ["the cat sat on the mat, a bat: no!", "a café in New York; 日本。 1 x"] * 20


def glossary(*pairs):
    return Glossary(GlossaryEntry(s, t, n) for n, (s, t) in enumerate(pairs, start=1))


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "g.tsv"
    path.write_bytes(
        "\ufeff# terms\r\nHaus\thouse\r\n\n  \nder Hund \t the dog\nHaus\thouse".encode()
    )
    found = Glossary.read(path)
    assert len(found) == 2
    assert found.phrases_for("Der Hund vor dem Haus.") == ["the dog", "house"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"Haus house", "line 2 is 'Haus house'; it must be a phrase, a tab and its translation"),
        (b"Haus\thouse\tnoun", "line 2 is "),
        (b"Haus\t ", "line 2 is "),
        (b"\thouse", "line 2 is "),
        (b"Ha\xffus\thouse", "line 2 is not UTF-8"),
        (b"hund\thound", "line 2: 'hund' has another translation in line 1; keep one of the two"),
    ],
)
def test_a_bad_line_is_told_with_its_number(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "g.tsv"
    path.write_bytes(b"Hund\tdog\n" + line + b"\n")
    with pytest.raises(ConfigError) as caught:
        Glossary.read(path)
    assert str(caught.value).startswith(f"{path}: {reason}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("the cat", ["CAT"]),
        ("The CAT!", ["CAT"]),
        ("cats and concatenation", []),
        ("a cat, a cat", ["CAT"]),
        ("a cat-flap; (cat)", ["CAT"]),
        ("cat_flap", []),
        ("in New York City", ["NYC"]),
        ("in New  York\tstate", ["NY"]),
        ("York City Hall Square in New York", ["YCHS", "NY"]),
        ("New York City Hall", ["NYC"]),
        ("New York City Hall Square", ["YCHS"]),
        ("Bank Of america, BANK OF AMERICA", ["BOA"]),
        ("The iPhone case, the IPHONE case", ["CASE"]),
        ("an iPhone, an IPHONE, NATO, nato", ["IPHONE", "NATO"]),
        ("cafe\u0301", ["CAFE"]),
        ("日本語の本", ["JP"]),
        ("कि", []),
        ("", []),
    ],
)
def test_whole_words_the_longest_first_and_each_once(text: str, found: list[str]) -> None:
    terms = glossary(
        ("cat", "CAT"),
        ("New York", "NY"),
        ("new york city", "NYC"),
        ("York city hall square", "YCHS"),
        ("Bank of America", "BOA"),
        ("the iPhone case", "CASE"),
        ("iPhone", "IPHONE"),
        ("NATO", "NATO"),
        ("café", "CAFE"),
        ("日本語", "JP"),
        ("क", "KA"),
    )
    assert terms.phrases_for(text) == found


def test_capitals_choose_between_entries() -> None:
    terms = glossary(("us", "uns"), ("US", "USA"), ("it", "es"), ("IT", "EDV"))
    assert terms.phrases_for("the US told us that IT is it") == ["USA", "uns", "EDV", "es"]


def test_ten_thousand_entries_are_not_looked_through() -> None:
    terms = glossary(*((f"w{n} of the w{n + 1}", f"T{n}") for n in range(10_000)))
    text = "of the " * 500 + "w77 of the w78"
    before = time.perf_counter()
    for _ in range(20):
        assert terms.phrases_for(text) == ["T77"]
    assert (time.perf_counter() - before) / 20 < 0.2


# --- phrases as ids ---


def published(folder: Path, kind: str):
    files = {"tokenizer.model": sentencepiece_model(kind, **LLAMA), "tokenizer_config.json": {}}
    files["config.json"] = json.dumps({"model_type": "llama"})
    return read_tokenizers(write(folder / kind, files), vocabulary=1000)[0]


@pytest.fixture(scope="module", params=[*TOKENIZERS, "published bpe", "published unigram"])
def tokenizer(request, tmp_path_factory):
    if request.param.startswith("published"):
        return published(tmp_path_factory.mktemp("glossary"), request.param.split()[1])
    return train_tokenizer(LINES, TrainingOptions(kind=request.param, vocab_size=320))


def is_in(part, whole):
    return any(whole[n : n + len(part)] == part for n in range(len(whole)))


@pytest.mark.parametrize("phrase", ["cat", "the cat", " the  mat ", "café", "on the mat,"])
def test_a_phrase_is_found_inside_a_sentence(tokenizer, phrase: str) -> None:
    ids = phrase_ids(tokenizer, phrase)
    plain = " ".join(phrase.split())
    assert is_in(ids, tokenizer.encode(f"so {plain} is there"))
    assert not is_in(ids, tokenizer.encode(f"so x{plain} is there"))
    shown = tokenizer.decode([*tokenizer.encode("a"), *ids, *tokenizer.encode(" x")])
    assert f" {plain}".replace(",", "") in shown.replace(",", "").replace("  ", " ")


def test_a_phrase_without_spaces_is_found_where_no_space_is(tokenizer) -> None:
    if tokenizer.role("unknown") in tokenizer.encode("日本。"):
        pytest.skip("it has no such characters")
    assert is_in(phrase_ids(tokenizer, "日本"), tokenizer.encode("。日本。"))


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_a_phrase_without_tokens_is_refused(kind: str) -> None:
    tokenizer = train_tokenizer(LINES, TrainingOptions(kind=kind, vocab_size=120))
    for phrase in ("ξψ cat", "", "  "):
        with pytest.raises(ConfigError, match="has no tokens for the phrase"):
            phrase_ids(tokenizer, phrase)


@torch.inference_mode()
def test_a_random_model_writes_the_glossarys_words() -> None:
    tokenizer = train_tokenizer(LINES, TrainingOptions(kind="byte-bpe", vocab_size=320))
    model = tiny_model("decoder", vocab_size=320, max_positions=60)
    terms = glossary(("Katze", "the cat"), ("New York", "New York"))
    phrases = terms.phrases_for("Die Katze in New York")
    wanted = [phrase_ids(tokenizer, phrase) for phrase in phrases]
    search = BeamParameters(end_ids=frozenset({3}), beam=3).build()
    task = Request(prompt=[2], max_new_tokens=40, phrases=wanted)
    ((best, *_),) = write_texts(ModelStepper(model), search, [task])
    text = tokenizer.decode(best.ids)
    assert all(f" {phrase}" in text for phrase in ("the cat", "New York"))


def test_a_likely_text_keeps_its_form_around_a_phrase() -> None:
    """The table writes `a bat`; that `cat` must come replaces one word."""
    tokenizer = train_tokenizer(LINES, TrainingOptions(kind="char", vocab_size=60))
    likely = tokenizer.encode("a bat")

    def table(tokens):
        step = likely[len(tokens)] if len(tokens) < len(likely) else 3
        others = dict.fromkeys(tokenizer.encode("abct "), 0.0001)
        return {**others, step: 0.99}

    search = BeamParameters(end_ids=frozenset({3}), beam=4).build()
    task = Request(prompt=[2], max_new_tokens=12, phrases=[phrase_ids(tokenizer, "cat")])
    stepper = TableStepper(table, size=tokenizer.vocab_size)
    ((best, *_),) = write_texts(stepper, search, [task])
    assert tokenizer.decode(best.ids) == "a cat"
