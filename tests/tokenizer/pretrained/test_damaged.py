"""A folder that is damaged, hostile or of no use is a TokenizerError of one line, quickly."""

import base64
import json
import random
import struct
import time

import pytest

from tests.tokenizer.pretrained.folders import LLAMA, TEXTS, sentencepiece_model, sentences, write
from tokenizer import TokenizerError, TrainingOptions, read_tokenizers, train_tokenizer
from tokenizer.pretrained import charsmap, files
from tokenizer.pretrained.charsmap import charsmap_steps
from tokenizer.pretrained.sentencepiece_model import PieceType, read_sentencepiece

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
DEEP = "[" * 200_000
UNIGRAM = sentencepiece_model("unigram", 300)
BYTES = json.loads(
    train_tokenizer(
        sentences(), TrainingOptions(kind="byte-bpe", vocab_size=300, normalization="none")
    ).to_json()
)["model"]
GPT2 = {"vocab.json": BYTES["vocab"], "merges.txt": "\n".join(map(" ".join, BYTES["merges"]))}
BERT = {"vocab.txt": "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nfox\n"}
T5 = {"spiece.model": UNIGRAM}
M2M = {"vocab.json": {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}}
M2M["sentencepiece.bpe.model"] = UNIGRAM
MARIAN = {"vocab.json": {"</s>": 0, "<unk>": 1, "<pad>": 2}}
MARIAN |= {"source.spm": UNIGRAM, "target.spm": UNIGRAM}


def message(path):
    """The error of reading a folder: one line, in good time, that says more than where."""
    start = time.monotonic()
    with pytest.raises(TokenizerError) as caught:
        read_tokenizers(path)
    assert time.monotonic() - start < 10  # seconds, of a busy machine
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 600
    return text


ANY_JSON = {
    "empty": "",
    "no JSON": "no JSON at all",
    "LFS": LFS,
    "zeros": "\0" * 1000,
    "deep": DEEP,
    "bytes": b"\xff\xfe{}",
    "a number": "3",
    "a list": [1, 2],
    "truncated": '{"a": ',
    "two": "{} {}",
}


@pytest.mark.parametrize("content", ANY_JSON.values(), ids=ANY_JSON)
@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({}, "tokenizer.json"),
        (BERT, "tokenizer_config.json"),
        (BERT, "special_tokens_map.json"),
        (BERT, "added_tokens.json"),
        (BERT, "config.json"),
        (GPT2, "vocab.json"),
        (MARIAN, "vocab.json"),
    ],
)
def test_a_json_file_that_is_none(tmp_path, files, name, content):
    assert name in message(write(tmp_path, {**files, name: content}))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "holds no tokens"),
        ({"a": 0, "b": 2}, "must be 0 to 1"),
        ({"a": 0, "b": 0}, "must be 0 to 1"),
        ({"a": -1, "b": 0}, "must be 0 to 1"),
        ({"a": 10**30}, "must be 0 to 0"),
        ({"a": "0"}, "Expected `int`"),
        ({"a": 0.5}, "Expected `int`"),
        ({"a": None}, "Expected `int`"),
        ({"a": {"b": 0}}, "Expected `int`"),
    ],
)
@pytest.mark.parametrize("files", [GPT2, M2M, MARIAN], ids=["GPT-2", "M2M100", "Marian"])
def test_a_vocabulary_whose_ids_are_none(tmp_path, files, content, words):
    assert words in message(write(tmp_path, {**files, "vocab.json": content}))


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, ["no tokenizer", "looked for tokenizer.json", "vocab.txt"]),
        ({**GPT2, "merges.txt": "a b c\n"}, ["merges.txt, line 1", "'a b c'"]),
        ({**GPT2, "merges.txt": "never seen\n"}, ["merges.txt", "never"]),
        ({**GPT2, "merges.txt": LFS}, ["merges.txt", "git lfs pull"]),
        ({**GPT2, "merges.txt": b"\xff\xfe"}, ["merges.txt", "UTF-8"]),
        ({"vocab.txt": ""}, ["vocab.txt", "[UNK]"]),
        ({"vocab.txt": "[UNK]\nthe\nthe\n"}, ["line 3", "'the'", "line 2"]),
        ({"vocab.txt": "[UNK]\nthe\n", "config.json": {"model_type": "deberta"}}, ["deberta"]),
        ({**BERT, "tokenizer_config.json": {"tokenizer_class": "RoFormerTokenizer"}}, ["RoFormer"]),
        ({**BERT, "tokenizer_config.json": {"never_split": ["x"]}}, ["never_split=['x']"]),
        ({**BERT, "tokenizer_config.json": {"do_lower_case": "yes"}}, ["bool", "do_lower_case"]),
        (
            {**BERT, "tokenizer_config.json": {"added_tokens_decoder": {"9": {"content": "<x>"}}}},
            ["id 9", "'<x>'", "id 7"],
        ),
        (
            {**BERT, "tokenizer_config.json": {"added_tokens_decoder": {"x": {"content": "<x>"}}}},
            ["keys of added_tokens_decoder"],
        ),
        ({**T5, "tokenizer_config.json": {"sp_model_kwargs": {"alpha": 0.1}}}, ["sp_model_kwargs"]),
        ({**T5, "tokenizer_config.json": {"extra_ids": 10**9}}, ["extra_ids", "1000000000"]),
        ({**T5, "tokenizer_config.json": {"extra_ids": -1}}, ["extra_ids"]),
        ({**T5, "tokenizer_config.json": {"tokenizer_class": "AlbertTokenizer"}}, ["Albert"]),
        ({"sentencepiece.bpe.model": UNIGRAM}, ["no class", "MBartTokenizer"]),
        (
            {
                "sentencepiece.bpe.model": UNIGRAM,
                "tokenizer_config.json": {"tokenizer_class": "MBartTokenizer", "src_lang": "xx"},
            },
            ["src_lang='xx'"],
        ),
        ({**M2M, "tokenizer_config.json": {"language_codes": "x"}}, ["'x'", "m2m100, wmt21"]),
        ({**M2M, "vocab.json": {"a": 0}}, ["vocab.json", "'<unk>'"]),
        ({**MARIAN, "tokenizer_config.json": {"separate_vocabs": True}}, ["target_vocab.json"]),
        ({"tokenizer.model": "SGVsbG8= 0\n"}, ["tokenizer.model", "SentencePiece"]),
    ],
)
def test_what_is_missing_or_not_supported_is_named(tmp_path, files, words):
    text = message(write(tmp_path, files))
    assert [word for word in words if word not in text] == []


def test_a_folder_that_is_not_there(tmp_path):
    assert "holds no tokenizer" in message(tmp_path / "missing")


def test_a_file_over_the_limit_is_not_read(tmp_path, monkeypatch):
    with (write(tmp_path, {}) / "spiece.model").open("wb") as stream:
        stream.truncate((256 << 20) + 1)
    assert "256 MiB" in message(tmp_path)
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 10)
    assert "read up to" in message(write(tmp_path, {"tokenizer.json": "x" * 11}))


@pytest.mark.parametrize(
    ("name", "junk"),
    [
        ("tokenizer.json", b"["),
        ("tokenizer.json", b"0 "),
        ("vocab.json", b'{"a":'),
        ("spiece.model", b"\0"),
        ("spiece.model", b"\x0a\x00"),
    ],
)
def test_a_hundred_megabytes_of_junk(tmp_path, name, junk):
    files = {**(GPT2 if name == "vocab.json" else {}), name: junk * ((100 << 20) // len(junk))}
    assert name in message(write(tmp_path, files))


def changed(data, chance):
    """A model with some bytes changed, removed or put in."""
    data = bytearray(data)
    for _ in range(chance.randrange(1, 8)):
        at = chance.randrange(len(data))
        match chance.randrange(3):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                del data[at : at + chance.randrange(1, 9)]
            case _:
                data[at:at] = chance.randbytes(4)
    return bytes(data)


@pytest.mark.parametrize("model", [UNIGRAM, sentencepiece_model("bpe", 700, **LLAMA)])
def test_a_changed_model_is_refused_or_works(tmp_path, model, capfd):
    chance = random.Random(0)
    for _ in range(60):
        # Most of a file is its normalizer: have the pieces before it change as often.
        cut = chance.choice([len(model), 3000])
        data = changed(model[:cut], chance) + model[cut:]
        try:
            tokenizer = read_tokenizers(write(tmp_path, {"spiece.model": data})).source
        except TokenizerError as error:
            assert "\n" not in str(error)
            continue
        for ids in tokenizer.encode_batch(TEXTS):
            tokenizer.decode(ids)
    assert "panicked" not in capfd.readouterr().err


@pytest.mark.parametrize("length", [0, 1, 100, 1000, 5000, -1])
def test_a_model_that_was_cut_short(tmp_path, length):
    text = message(write(tmp_path, {"spiece.model": UNIGRAM[:length]}))
    assert "spiece.model" in text


def piece(text, kind=1, score=b"\0\0\0\0"):
    name = text.encode() if isinstance(text, str) else text
    body = b"\x0a" + bytes([len(name)]) + name + b"\x15" + score + b"\x18" + bytes([kind])
    return b"\x0a" + bytes([len(body)]) + body


SMALL = piece("<unk>", 2) + piece("▁a") + piece("b")


def test_a_models_pieces_are_read():
    model = read_sentencepiece(SMALL + piece("c", 4, struct.pack("<f", -1.5)), name="small")
    assert [p.text for p in model.pieces] == ["<unk>", "▁a", "b", "c"]
    assert model.pieces[3][1:] == (-1.5, PieceType.USER_DEFINED)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "one unknown piece"),
        (piece("a"), "one unknown piece"),
        (SMALL + piece("<b>", 2), "one unknown piece"),
        (SMALL + piece("b"), "repeated"),
        (SMALL + piece(""), "empty"),
        (SMALL + piece("x", 9), "9"),
        (SMALL + piece(b"\xff"), "utf-8"),
        (SMALL + piece("x", score=struct.pack("<f", float("nan"))), "finite"),
        (SMALL + b"\x0a\x7f", "too early"),
        (SMALL + b"\x0a" + b"\xff" * 9 + b"\x01", "too early"),
        (SMALL + b"\x0a" + b"\xff" * 20, "no end"),
        (SMALL + b"\x0a", "no end"),
        (SMALL + b"\x0b", "wire type 3"),
        (SMALL + b"\x08\x01", "bytes are expected"),
        (SMALL + b"\x12\x04\x1a\x02\x00\x00", "number is expected"),
        (SMALL + b"\x12\x03\xc0\x01\x01", "treat_whitespace_as_suffix"),
        (SMALL + b"\x2a\x03\x12\x01x", "denormalizer_spec"),
        (SMALL + b"\x00\x00", "no number"),
        (SMALL + 9 * b"\x3a\x00", "field 7 is repeated"),
        (SMALL + b"\x0a\x83\x40\x0a\x80\x40" + b"x" * 8192, "too long"),
        (SMALL + b"\x12\x80\x81\x80\x01" + b"\x3a\x00" * ((1 << 20) + 64), "too many fields"),
        (SMALL + b"\x0a\x22" + b"\x18\x01" * 17, "too many fields"),
    ],
)
def test_a_model_that_is_none_says_why(data, words):
    with pytest.raises(TokenizerError, match=f"small is no usable SentencePiece model: .*{words}"):
        read_sentencepiece(data, name="small")


@pytest.mark.parametrize(("number", "kind"), [(3, "word"), (4, "char")])
def test_an_algorithm_that_is_not_supported_is_named(tmp_path, number, kind):
    data = SMALL + b"\x12\x02\x18" + bytes([number])
    text = message(write(tmp_path, {"tokenizer.model": data}))
    assert f"kind {kind}; supported: unigram, bpe" in text


@pytest.mark.parametrize(
    "damage",
    [
        lambda table: table[:3],
        lambda table: table[:1000],
        lambda table: table[:-1],
        lambda table: b"\xff\xff\xff\x7f" + table[4:],
        lambda table: table[:4] + b"\x00\xfc\xff\x7f" * 256 + table[4 + 1024 :],
        lambda table: table[:4] + b"\xff\xff\xff\xff" * 256 + table[4 + 1024 :],
        lambda table: table[:-1] + b"x" * 5000 + b"\0",
    ],
)
def test_a_damaged_table_of_characters_is_refused(damage):
    table = read_sentencepiece(UNIGRAM, name="model").charsmap
    assert charsmap_steps(table, name="model")
    with pytest.raises(TokenizerError, match="model has a damaged normalizer"):
        charsmap_steps(damage(table), name="model")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"tekken.json": "{}"}, "holds no tokenizer that is read, but tekken.json;"),
        ({"tokenizer.model.v3": ""}, "no tokenizer that is read, but tokenizer.model.v3;"),
        ({"sp.model": ""}, "no tokenizer that is read, but sp.model;"),
        ({"vocab.json": "{}"}, "whole: there is vocab.json without merges.txt;"),
        ({"merges.txt": ""}, "whole: there is merges.txt without vocab.json;"),
        (
            {"source.spm": "", "vocab.json": "{}"},
            "there is source.spm, vocab.json without target.spm;",
        ),
        ({"tokenizer.model": "IQ== 0\nIg== 1\n"}, "tokenizer.model is a table of tiktoken"),
    ],
)
def test_files_that_are_not_read_or_not_all_there_are_named(files, words, tmp_path):
    assert words in message(write(tmp_path, files))


@pytest.mark.parametrize("mistake", [KeyError, TypeError, AttributeError, IndexError])
def test_a_mistake_of_ours_is_not_called_damage(mistake, monkeypatch):
    def fail(*_):
        raise mistake("x")

    monkeypatch.setattr(charsmap, "_plan", fail)
    with pytest.raises(mistake):
        charsmap_steps(read_sentencepiece(UNIGRAM, name="model").charsmap, name="model")


def test_a_damaged_table_in_a_tokenizer_json_is_refused(tmp_path):
    saved = json.loads(read_tokenizers(write(tmp_path, T5)).source.to_json())
    table = next(n for n in saved["normalizer"]["normalizers"] if n["type"] == "Precompiled")
    data = base64.b64decode(table["precompiled_charsmap"])
    data = data[:4] + b"\x00\xfc\xff\x7f" * 256 + data[4 + 1024 :]
    table["precompiled_charsmap"] = base64.b64encode(data).decode()
    assert "normalizer" in message(write(tmp_path, {"tokenizer.json": saved}))


def test_what_the_library_panics_at_leaves_no_trace_on_stderr(tmp_path, capfd):
    saved = train_tokenizer(sentences(), TrainingOptions(kind="bpe", vocab_size=200)).to_json()
    data = json.loads(saved)
    data["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": "AAAA"}
    assert "tokenizer.json" in message(write(tmp_path, {"tokenizer.json": data}))
    assert capfd.readouterr().err == ""
