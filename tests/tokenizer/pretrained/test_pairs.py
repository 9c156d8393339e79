"""Ids that stand in a file of their own: Marian's two models and M2M100's one."""

import random

import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tokenizer.pretrained.folders import (
    TEXTS,
    WORDS,
    framed,
    random_texts,
    sentencepiece_model,
    write,
)
from tokenizer import Tokenizer, read_tokenizers
from tokenizer.pretrained.sentencepiece_model import read_sentencepiece

pytestmark = pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")

FEW = settings(derandomize=True, database=None, deadline=None, max_examples=60)
SOURCE = tuple(WORDS[:17])  # English, numbers
TARGET = tuple(WORDS[12:])  # numbers, and what is in other letters
CODES = [">>fra<<", ">>deu<<"]
CODED = [
    ">>fra<< the fox",
    ">>deu<<the fox",
    ">>fra<<",
    ">>xyz<< the fox",
    ">>a b<<  Deich",
    " >>fra<< the fox",
    "the >>fra<< fox",
    ">>fra<< >>deu<< the",
    ">>fra the fox",
    "日本>>fra<<日本",
    ">><<",
    ">>\n<< the",
    "fox<< >>",
]
UNKNOWN = ["日 の 本", "Straße ß", "тест и не", "the日fox", "ü", "x日本語y </s>日<pad>"]


def pieces(model):
    return [p.text for p in read_sentencepiece(model, name="model").pieces[3:]]


def vocabulary(texts, more=()):
    """A vocabulary in another order that lacks one piece in ten."""
    chance = random.Random(0)
    kept = [text for text in sorted({*texts}) if chance.random() > 0.1]
    chance.shuffle(kept)
    found = ["</s>", "<unk>", *kept, *more, "<pad>"]
    return {text: token_id for token_id, text in enumerate(found)}


KINDS = [("unigram", False), ("unigram", True), ("bpe", False), ("bpe", True)]


@pytest.fixture(scope="module", params=KINDS, ids=str)
def marian(request, tmp_path_factory):
    """Our pair, having been saved, and transformers' tokenizer."""
    kind, separate = request.param
    models = [sentencepiece_model(kind, 180, words=words) for words in (SOURCE, TARGET)]
    config = {"tokenizer_class": "MarianTokenizer", "separate_vocabs": separate}
    files = {"source.spm": models[0], "target.spm": models[1], "tokenizer_config.json": config}
    if separate:
        files["vocab.json"] = vocabulary(pieces(models[0]))
        files["target_vocab.json"] = vocabulary(pieces(models[1]))
    else:
        files["vocab.json"] = vocabulary(pieces(models[0]) + pieces(models[1]), CODES)
    folder = write(tmp_path_factory.mktemp("marian"), files)
    saved = {
        f"{name}tokenizer.json": tokenizer.to_json()
        for name, tokenizer in zip(("", "target_"), read_tokenizers(folder), strict=True)
    }
    ours = read_tokenizers(write(folder / "saved", saved))
    return ours, transformers.MarianTokenizer.from_pretrained(folder)


def agrees(ours, reference, text):
    plain = {"split_special_tokens": True}  # their names in a text are text
    assert framed(ours.source, text) == reference(text, **plain)["input_ids"]
    assert framed(ours.target, text) == reference(text_target=text, **plain)["input_ids"]


@pytest.mark.parametrize("text", [*TEXTS, *CODED, *UNKNOWN])
def test_both_of_marians_sides_are_cut_as_transformers_cuts_them(marian, text):
    agrees(*marian, text)


def test_so_are_marks_and_joiners_in_any_order(marian):
    for text in random_texts(60, seed=0):
        agrees(*marian, text)


@FEW
@given(st.text(max_size=30) | st.text("<>fra日の a▁é", max_size=15))
def test_so_is_any_text(marian, text):
    agrees(*marian, text)


def test_what_marian_writes_is_decoded_whichever_side_a_piece_is_of(marian):
    ours, reference = marian
    chance = random.Random(1)
    for _ in range(200):
        ids = [chance.randrange(2, ours.target.vocab_size - 1) for _ in range(8)]
        ids = [i for i in ids if i != reference.pad_token_id]  # the source's, with two vocabularies
        expected = reference.decode(ids, skip_special_tokens=True)
        assert ours.target.decode(ids).strip() == expected


def test_what_marian_writes_is_streamed_as_it_is_decoded(marian):
    target = marian[0].target
    for text in TEXTS:
        stream = target.stream()
        pieces = [stream.feed(token_id) for token_id in target.encode(text)]
        assert "".join([*pieces, stream.flush()]) == target.decode(target.encode(text))


def test_the_ids_are_those_of_the_vocabulary_and_no_others(marian):
    ours, reference = marian
    assert ours.source.vocab_size == reference.vocab_size
    for text in [*TEXTS, *UNKNOWN, " ".join(WORDS)]:
        for tokenizer in ours:
            assert all(0 <= i < tokenizer.vocab_size for i in tokenizer.encode(text))
            assert tokenizer.encode_batch([text]) == [tokenizer.encode(text)]
    for token in ("</s>", "<unk>", "<pad>"):
        assert ours.source.token_id(token) == reference.encoder[token]


def test_a_piece_of_the_other_side_alone_never_comes_from_known_characters(tmp_path):
    model = sentencepiece_model("unigram", 180, words=SOURCE)
    foreign = ["▁the▁quick", "bro", "uick▁b", "▁Deich"]
    ids = vocabulary([*pieces(model), *foreign])
    spm = {"source.spm": model, "target.spm": sentencepiece_model("unigram", 180, words=TARGET)}
    source = read_tokenizers(write(tmp_path, {**spm, "vocab.json": ids})).source
    text = "the quick brown fox " * 3
    assert not {ids[p] for p in foreign if p in ids} & {*source.encode(text)}


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def m2m100(request, tmp_path_factory):
    model = sentencepiece_model(request.param, 400)
    special = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
    kept = [text for text in pieces(model) if hash_of(text) % 10]
    ids = {**special, **{text: 4 + i for i, text in enumerate([*kept, "ξ", "madeupword0"])}}
    files = {
        "sentencepiece.bpe.model": model,
        "vocab.json": ids,
        "tokenizer_config.json": {"tokenizer_class": "M2M100Tokenizer", "src_lang": "fr"},
    }
    folder = write(tmp_path_factory.mktemp("m2m100"), files)
    return read_tokenizers(folder).source, transformers.M2M100Tokenizer.from_pretrained(folder)


def hash_of(text):
    return sum(text.encode())


@pytest.mark.parametrize("text", [*TEXTS, *UNKNOWN, "ξ", "xξ ξψ __fr__ <s> </s>"])
def test_m2m100_is_cut_as_transformers_cuts_it(m2m100, text):
    ours, reference = m2m100
    ids = reference(text, split_special_tokens=True)["input_ids"]
    assert framed(ours, text) == ids
    _, *written = ids  # the language, which transformers 5 does not know to be special
    assert ours.decode(ids) == reference.decode(written, skip_special_tokens=True)


def test_m2m100_cuts_marks_and_joiners_in_any_order_so_too(m2m100):
    ours, reference = m2m100
    for text in random_texts(100, seed=1):
        ids = reference(text, split_special_tokens=True)["input_ids"]
        assert framed(ours, text) == ids, ascii(text)


def test_m2m100s_languages_stand_above_its_vocabulary(m2m100):
    ours, reference = m2m100
    assert ours.token_id("__fr__") == reference.get_lang_id("fr")
    assert ours.token_id("__zu__") == ours.vocab_size - 1 == len(reference.encoder) + 99
    again = Tokenizer.from_json(ours.to_json())
    assert (again.vocab_size, again.special_affixes()) == (ours.vocab_size, ours.special_affixes())
