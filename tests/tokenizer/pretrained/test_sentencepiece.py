"""SentencePiece models that are made by hand or trained otherwise: cut as SentencePiece does."""

import json
import struct

import pytest
import sentencepiece

from tests.tokenizer.pretrained.folders import TEXTS, sentencepiece_model
from tokenizer import Tokenizer, TokenizerError
from tokenizer.pretrained.character_table import check_charsmap
from tokenizer.pretrained.charsmap import charsmap_steps
from tokenizer.pretrained.from_sentencepiece import SentencePieceLayout, build, merges
from tokenizer.pretrained.guard import split_inside_names
from tokenizer.pretrained.sentencepiece_model import PieceType, SentencePiece, read_sentencepiece


def both(data):
    """Our tokenizer of a model's own ids, and SentencePiece's."""
    model = read_sentencepiece(data, name="model")
    ours = Tokenizer(build(SentencePieceLayout(name="model", model=model, pieces=model.pieces)))
    return ours, sentencepiece.SentencePieceProcessor(model_proto=data)


def piece(text, score=0.0, kind=1):
    name = text.encode()
    body = b"\x0a" + bytes([len(name)]) + name + b"\x15" + struct.pack("<f", score)
    body += b"\x18" + bytes([kind])
    return b"\x0a" + bytes([len(body)]) + body


SMALL = piece("<unk>", kind=2) + piece("▁a", -1.0) + piece("b", -2.0)
SHAPES = {
    "plain": {},
    "no space before": {"add_dummy_prefix": False},
    "spaces as they are": {"remove_extra_whitespaces": False},
    "neither": {"add_dummy_prefix": False, "remove_extra_whitespaces": False},
    "without normalization": {"normalization_rule_name": "identity"},
    "case folded": {"normalization_rule_name": "nmt_nfkc_cf"},
    "controls": {"control_symbols": ["<ctrl>", "the"]},
    "in bytes": {"byte_fallback": True, "vocab_size": 600},
}


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@pytest.mark.parametrize("shape", SHAPES)
def test_models_of_all_shapes_cut_as_sentencepiece_does(shape, kind):
    options = {"vocab_size": 400, **SHAPES[shape]}
    ours, theirs = both(sentencepiece_model.__wrapped__(kind, **options))
    for text in TEXTS:
        assert ours.encode(text) == theirs.encode(text), text
        if ours.require_role("unknown") not in ours.encode(text):
            assert ours.decode(theirs.encode(text)) == theirs.decode(theirs.encode(text)), text


def test_a_users_piece_is_better_than_others_by_its_length():
    """`0.1 · (length - 1)`, the length in bytes; what is no word has the best score, which leaves
    the worst, by which unknown characters are judged, to the words."""
    data = piece("<unk>", kind=2) + piece("<s>", -99.0, kind=3) + piece("öl", kind=4)
    ours, _ = both(data + piece("ö", -1.5) + piece("l", -4.0))
    scores = dict(json.loads(ours.backend.to_str())["model"]["vocab"])
    wanted = {"<unk>": -1.5, "<s>": -1.5, "öl": 0.2, "ö": -1.5, "l": -4.0}
    assert scores == pytest.approx(wanted)


def test_unknown_tokens_are_special():
    ours, _ = both(SMALL + piece("<s>", kind=3))
    assert ours.special_tokens() == {"<unk>": 0, "<s>": 3}
    assert ours.decode([1, 0, 3, 2]) == "ab"


def test_merges_are_all_pairs_that_make_a_piece_best_first():
    """A piece that is no merge of pieces has none; equal scores keep the order of places."""
    made = [
        SentencePiece(*pair) for pair in (("a", -9.0), ("b", -9.0), ("ab", -2.0), ("aba", -1.0))
    ]
    made += [SentencePiece("xy", -0.5), SentencePiece("bab", 0.0, PieceType.USER_DEFINED)]
    assert merges(made) == [("ab", "a"), ("a", "b")]
    assert merges([*made, SentencePiece("ba", -3.0)]) == [
        ("a", "ba"), ("ab", "a"), ("a", "b"), ("b", "a"),
    ]  # fmt: skip


def test_fields_that_bear_on_nothing_are_stepped_over():
    """Of 8 bytes, of 4, a number and some bytes, with a number of two bytes."""
    odd = b"\x39" + b"\x0a" * 8 + b"\x85\x01" + b"\x0a" * 4 + b"\x48\xff\x0a" + b"\x52\x02\x0a\x0a"
    model = read_sentencepiece(odd + SMALL, name="model")
    assert [p.text for p in model.pieces] == ["<unk>", "▁a", "b"]


def test_settings_are_read_and_have_sentencepieces_defaults():
    plain = read_sentencepiece(SMALL, name="model")
    flags = (plain.add_dummy_prefix, plain.remove_extra_whitespaces, plain.escape_whitespaces)
    assert (flags, plain.byte_fallback, plain.algorithm.name) == ((True,) * 3, False, "UNIGRAM")
    trainer, normalizer = b"\x18\x02\x98\x02\x01", b"\x12\x01x\x18\x00\x20\x00\x28\x00"
    data = b"\x12" + bytes([len(trainer)]) + trainer + b"\x1a" + bytes([len(normalizer)])
    said = read_sentencepiece(SMALL + data + normalizer, name="model")
    flags = (said.add_dummy_prefix, said.remove_extra_whitespaces, said.escape_whitespaces)
    assert (flags, said.byte_fallback, said.algorithm.name) == ((False,) * 3, True, "BPE")
    assert said.charsmap == b"x"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x3a\x05ab", "it ends too early"),
        (b"\x39" + b"\0" * 7, "it ends too early"),
        (piece("x", float("inf")), "a score is not finite"),
        (piece("x", float("-inf")), "a score is not finite"),
        (b"\x0a\x07\x0a\x01x\x12\x02\0\0", "a score is not 4 bytes long"),
        (b"\x0a\x09\x0a\x01x\x12\x04\0\0\0\x80", None),
        (b"\x3a\x00\x12\x00\x12\x00", "its field 2 is repeated"),
    ],
)
def test_what_a_model_may_not_hold(data, words):
    if words is None:
        assert read_sentencepiece(SMALL + data, name="model").pieces[3].text == "x"
        return
    with pytest.raises(TokenizerError, match=words):
        read_sentencepiece(SMALL + data, name="model")


LETTERS = "aeIiioßſκƐｅｶđK日"
# In Unicode's order of marks: others are put in it by the library, and by SentencePiece are not.
MARKS = [
    *("", "\u0301", "\u0302", "\u030a", "\u0307", "\u0323", "\u3099", "\u0345", "\u200d"),
    *("\u0323\u0302", "\u0302\u0301", "\u0301\u0302", "\u0323\u0307", "\u0301\u0345"),
]


@pytest.mark.parametrize("rule", ["nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf"])
def test_letters_and_marks_become_what_sentencepiece_makes_of_them(rule):
    data = sentencepiece_model("unigram", 300, normalization_rule_name=rule)
    theirs = sentencepiece.SentencePieceProcessor(model_proto=data)
    steps = charsmap_steps(read_sentencepiece(data, name="model").charsmap, name="model")
    for text in (f"x{letter}{marks}y" for letter in LETTERS for marks in MARKS):
        found = text
        for step in steps:
            found = step.normalize_str(found)
        assert f"▁{found}" == theirs.normalize(text), ascii(text)


def table(units, replacements=b"\0"):
    """A table of characters of some blocks of 256 units."""
    units = [*units, *[0] * (-len(units) % 256)]
    return struct.pack(f"<I{len(units)}I", 4 * len(units), *units) + replacements


LEAF, FAR = 1 << 31, 0x200


@pytest.mark.parametrize(
    ("units", "replacements", "sound"),
    [
        ([0], b"\0", True),
        ([LEAF], b"\0", True),
        ([LEAF | 3], b"ab\0c\0", True),  # a replacement begins there
        ([LEAF | 1], b"ab\0c\0", False),  # in the middle of one
        ([LEAF | 6], b"ab\0c\0", False),
        ([255 << 10], b"\0", True),
        ([256 << 10], b"\0", False),  # a second block, which there is not
        ([0] * 256 + [256 << 10], b"\0", True),
        ([0] * 255 + [0] + [512 << 10], b"\0", False),
        ([FAR | 1 << 10], b"\0", False),  # far: 1 · 256
        ([0] * 256 + [FAR | 1 << 10], b"\0", True),
        ([0], b"a", False),
        ([0], b"", False),
        ([0], b"x" * 1024 + b"\0", True),
        ([0], b"x" * 1025 + b"\0", False),
    ],
)
def test_a_table_of_characters_points_within_itself(units, replacements, sound):
    data = table(units, replacements)
    if sound:
        check_charsmap(data, name="model")
        return
    with pytest.raises(TokenizerError, match="model has a damaged normalizer"):
        check_charsmap(data, name="model")


@pytest.mark.parametrize("size", [0, 4, 1020, 1028, 2048])
def test_a_table_of_characters_is_of_whole_blocks_that_are_there(size):
    data = struct.pack("<I", size) + b"\0" * 1030
    with pytest.raises(TokenizerError, match="its table ends too early"):
        check_charsmap(data, name="model")
    with pytest.raises(TokenizerError, match="its table ends too early"):
        check_charsmap(struct.pack("<I", 1024) + b"\0" * 1023, name="model")


@pytest.mark.parametrize(
    ("name", "pieces", "parts"),
    [
        ("abc", ["ab", "c"], ["ab", "c"]),  # not inside of a piece, and before its last character
        ("abc", ["a", "bc"], ["a", "bc"]),
        ("abcd", ["cd"], ["ab", "cd"]),  # not between two that no piece has
        ("ab", [], ["a", "b"]),
    ],
)
def test_names_are_cut_where_no_piece_lies_across(name, pieces, parts):
    cut = split_inside_names([name], pieces)
    assert [part for part, _ in cut.pre_tokenize_str(name)] == parts


def test_a_name_of_one_character_cannot_be_cut():
    with pytest.raises(TokenizerError, match="'x' cannot be told from ordinary text"):
        split_inside_names(["x"], ["a"])
    assert split_inside_names([], ["a"]) is None
