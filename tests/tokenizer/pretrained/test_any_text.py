"""Random texts of letters, marks, joiners, blanks and what else: cut as SentencePiece cuts them."""

import struct

import pytest
import sentencepiece

from tests.tokenizer.pretrained.folders import WORDS, random_texts, sentencepiece_model
from tests.tokenizer.pretrained.test_sentencepiece import piece
from tokenizer import Tokenizer, TokenizerError
from tokenizer.pretrained.character_table import CharacterTable
from tokenizer.pretrained.charsmap import charsmap_steps
from tokenizer.pretrained.from_sentencepiece import SentencePieceLayout, build
from tokenizer.pretrained.longest_match import PatternTooLargeError, longest_of
from tokenizer.pretrained.sentencepiece_model import read_sentencepiece

MORE = (
    *WORDS,
    "كَلِمَّة",
    "שָׁלוֹם",
    "हिन्दी",
    "ภาษาไทย",
    "かばん",
    "йод",
    "naïve",
    "--",
    "...",
    "<a>b</a>",
)
SYMBOLS = ["<sep>", "<a>", "a b", "\n", "ﬁ", "\t\t", "qu", "ab", "abc", "cd", "\u0301x", "▁z"]
SHAPES = {
    "plain": {},
    "case folded, no space before": {
        "normalization_rule_name": "nmt_nfkc_cf",
        "add_dummy_prefix": False,
    },
    "in bytes": {"byte_fallback": True, "vocab_size": 700},
    "as they are, in bytes": {
        "byte_fallback": True,
        "vocab_size": 750,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "allow_whitespace_only_pieces": True,
        "user_defined_symbols": ["\t", "  ", "    ", "<sep>", "ab", "▁▁▁"],
    },
    "with a user's pieces, across spaces": {
        "user_defined_symbols": SYMBOLS,
        "split_by_whitespace": False,
        "vocab_size": 500,
    },
    "all spaces": {"normalization_rule_name": "nfkc", "remove_extra_whitespaces": False},
}


def both(data):
    model = read_sentencepiece(data, name="model")
    ours = Tokenizer(build(SentencePieceLayout(name="model", model=model, pieces=model.pieces)))
    return ours, sentencepiece.SentencePieceProcessor(model_proto=data)


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@pytest.mark.parametrize("shape", SHAPES)
def test_any_text_has_the_ids_that_sentencepiece_gives(shape, kind):
    """Also from the tokenizer.json that is written of it."""
    options = {"vocab_size": 400, **SHAPES[shape]}
    ours, theirs = both(sentencepiece_model.__wrapped__(kind, words=MORE, **options))
    saved = Tokenizer.from_json(ours.to_json())
    texts = random_texts(170, seed=shape)
    for text, ids, again in zip(
        texts, ours.encode_batch(texts), saved.encode_batch(texts), strict=True
    ):
        assert ids == again == theirs.encode(text), ascii(text)


@pytest.mark.parametrize("rule", ["nmt_nfkc", "nmt_nfkc_cf"])
def test_every_key_of_a_table_becomes_its_replacement(rule):
    """Beside marks that are not in Unicode's order, and stay so. Of 220,000 sequences, some."""
    data = sentencepiece_model("unigram", 300, normalization_rule_name=rule)
    charsmap = read_sentencepiece(data, name="model").charsmap
    table = CharacterTable(charsmap)
    keys = dict(table.characters)
    for number, first in enumerate(sorted(table.starts)):
        if number % 5 == 0:
            sequences = [*table.sequences_from(first)]
            keys |= sequences[:: 1 + len(sequences) // 100]  # Hangul's are many
    got = "\u0651\u064e|".join(keys)
    for step in charsmap_steps(charsmap, name="model"):
        got = step.normalize_str(got)
    assert got.split("|") == "\u0651\u064e|".join(keys.values()).split("|")


def test_a_symbol_is_the_longest_that_begins_there_and_the_first():
    options = {"user_defined_symbols": ["ab", "abc", "cd", "bcde"]}
    ours, theirs = both(sentencepiece_model.__wrapped__("bpe", 450, words=MORE, **options))
    for text in ("abcd", "abcde", "xbcdey", "ab cd", "aabcc"):
        assert ours.encode(text) == theirs.encode(text), text
    assert ours.pieces("abcde")[-2:] == ["abc", "de"]


def test_a_piece_that_no_merges_lead_to_is_none_beside_a_symbol():
    """`bc` is merged first, after which neither `ab` nor `cd` is there to make `abcd`."""
    pieces = {"▁": -9, "a": -9, "b": -9, "c": -9, "d": -9, "bc": -1, "ab": -2, "cd": -3, "abcd": -4}
    data = piece("<unk>", kind=2) + piece("<x>", kind=4)
    data += b"".join(piece(text, score) for text, score in pieces.items())
    ours, theirs = both(data + b"\x12\x02\x18\x02" + b"\x1a\x02\x18\x00")  # BPE, no space before
    for text in ("abcd<x>abcd", "abcd", "abcd abcd", "<x>abcdabcd", "ab<x>cd"):
        assert ours.encode(text) == theirs.encode(text), text
    assert ours.pieces("abcd<x>") == ["a", "bc", "d", "<x>"]


def test_a_pattern_of_many_texts_prefers_the_longest():
    pattern = longest_of([f"<unused{number}>" for number in range(1000)] + ["<u", "<unused1", "▁▁"])
    assert len(pattern) < 1000
    with pytest.raises(PatternTooLargeError):
        longest_of("a" * length for length in range(1, 600))


def test_a_table_that_maps_sequences_without_end_is_refused():
    """A unit that leads back to itself: any number of the same character would be a key."""
    circle = [0] * 256
    circle[ord("a")] = ord("a") | 0x100 | ord("a") << 10  # its base is 0: "a", "aa", "aaa" …
    data = struct.pack("<I256I", 4 * len(circle), *circle)
    with pytest.raises(TokenizerError, match="too many, or too long, sequences of characters"):
        charsmap_steps(data + b"\0", name="model")
