"""What holds for every kind of tokenizer, and the promises that single kinds make."""

import json
import random
from collections import namedtuple

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenizer import (
    NORMALIZATIONS,
    TOKENIZERS,
    CorpusError,
    Tokenizer,
    TokenizerError,
    TrainingOptions,
    language_tag,
    read_tokenizers,
    train_tokenizer,
)
from tokenizer.detokenizer import IncrementalDetokenizer
from tokenizer.special import BASIC

SENTENCES = [
    "The quick brown fox jumps over the lazy dog.",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich!",
    "Портрет: 12 × 34 = 408, не правда ли?",
    "日本語 の テキスト 😀 👩‍👩‍👧 e\u0301",
    "  two  blanks,\ta tab\nand a second line ",
]
TEXTS = [
    *SENTENCES,
    "",
    " ",
    "unseen: ξψω 한국 🦀",
    "</s><pad> <unk> <s>x</s>",
    "a\u2028b\x00c\x85d\ufffde",
]
TAGS = tuple(map(language_tag, ("de", "en")))
VOCABULARY = 300
Case = namedtuple("Case", "kind vocab_size tokenizer")
FEW = settings(derandomize=True, database=None, deadline=None, max_examples=50)


def train(kind, lines=SENTENCES * 3, **options):
    fields = {"vocab_size": VOCABULARY, "normalization": "none", "special": TAGS, **options}
    return train_tokenizer(lines, TrainingOptions(kind=kind, **fields))


@pytest.fixture(scope="module", params=TOKENIZERS)
def case(request):
    return Case(request.param, VOCABULARY, train(request.param))


@pytest.fixture(scope="module")
def byte_bpe():
    return train("byte-bpe")


@pytest.fixture(scope="module")
def char():
    return train("char")


@pytest.mark.parametrize("special", [(), TAGS], ids=["plain", "tags"])
@pytest.mark.parametrize("size", [1, 4, 5, 20, 60])
@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_vocabulary_smaller_than_the_alphabet_is_kept_to_or_refused(kind, size, special):
    try:
        trained = train(kind, vocab_size=size, special=special)
    except TokenizerError as error:
        assert str(size) in str(error)
    else:
        assert trained.vocab_size <= size


def test_a_vocabulary_has_at_most_the_size_that_was_asked_for(case):
    assert len(BASIC) + len(TAGS) < case.tokenizer.vocab_size <= case.vocab_size


def test_special_tokens_come_first(case):
    assert [case.tokenizer.token_id(token) for token in BASIC] == [0, 1, 2, 3]
    roles = ("pad", "unknown", "begin", "end")
    assert [case.tokenizer.require_role(role) for role in roles] == [0, 1, 2, 3]


def test_a_role_that_no_token_plays_is_an_error_that_lists_what_was_looked_for(case):
    assert case.tokenizer.role("mask") is None
    with pytest.raises(TokenizerError, match=r"no mask token; looked for: <mask>, \[MASK\]"):
        case.tokenizer.require_role("mask")


@pytest.mark.parametrize("text", TEXTS)
def test_ids_are_in_range_and_never_control_a_sentence(case, text):
    ids = case.tokenizer.encode(text)
    assert all(0 <= token_id < case.tokenizer.vocab_size for token_id in ids)
    assert not {case.tokenizer.require_role(role) for role in ("pad", "begin", "end")} & {*ids}


@pytest.mark.parametrize("token", BASIC)
def test_a_special_token_in_the_training_text_stays_text(token):
    trained = train("bpe", [f"{token} word {token}"] * 9)
    assert trained.token_id(token) not in trained.encode(f"word {token} word")


def test_a_batch_is_encoded_and_decoded_like_its_lines(case):
    rows = case.tokenizer.encode_batch(TEXTS)
    assert rows == [case.tokenizer.encode(text) for text in TEXTS]
    assert case.tokenizer.decode_batch(rows) == [case.tokenizer.decode(row) for row in rows]


def test_pieces_are_the_names_of_the_ids(case):
    for text in SENTENCES:
        names = [case.tokenizer.token_id(piece) for piece in case.tokenizer.pieces(text)]
        assert names == case.tokenizer.encode(text)


def test_a_saved_tokenizer_comes_back_equal(case, tmp_path):
    case.tokenizer.save(tmp_path / "tokenizer.json")
    loaded = Tokenizer.load(tmp_path / "tokenizer.json")
    assert loaded.describe() == case.tokenizer.describe()
    rows = case.tokenizer.encode_batch(TEXTS)
    assert loaded.encode_batch(TEXTS) == rows
    assert loaded.decode_batch(rows) == case.tokenizer.decode_batch(rows)
    assert Tokenizer.from_json(loaded.to_json()).to_json() == loaded.to_json()


@pytest.mark.parametrize("kind", ["bpe", "byte-bpe", "char"])
def test_training_twice_gives_the_same_tokenizer(kind):
    assert train(kind).to_json() == train(kind).to_json()


def test_a_tokenizer_describes_itself(case):
    facts = case.tokenizer.describe()
    assert facts["vocabulary"] == case.tokenizer.vocab_size
    assert [*facts["special"]] == [*BASIC, *TAGS]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("prompt", ["", "The fox", "日本 😀", "a "])
def test_streamed_pieces_joined_are_the_decoded_text(case, prompt, text):
    before, after = case.tokenizer.encode(prompt), case.tokenizer.encode(text)
    stream = case.tokenizer.stream(before)
    pieces = [stream.feed(token_id) for token_id in after]
    joined = "".join([case.tokenizer.decode(before), *pieces, stream.flush()])
    assert joined == case.tokenizer.decode([*before, *after])


def test_a_stream_of_nothing_is_empty(case):
    assert case.tokenizer.stream().flush() == ""


@pytest.mark.parametrize("text", ["😀", "a👩‍👩‍👧b", "日本語", "e\u0301 🦀🦀"])
def test_no_streamed_piece_ends_inside_a_character(byte_bpe, text):
    stream = byte_bpe.stream()
    pieces = [stream.feed(token_id) for token_id in byte_bpe.encode(text)]
    assert not [piece for piece in pieces if "\ufffd" in piece]
    assert "".join(pieces) == text
    assert stream.flush() == ""


def test_a_stream_that_ends_inside_a_character_flushes_what_is_left(byte_bpe):
    ids = byte_bpe.encode("a🦀")[:-1]
    stream = byte_bpe.stream()
    assert "".join(map(stream.feed, ids)) == "a"
    assert {*stream.flush()} == {"\ufffd"}


@FEW
@given(st.text())
def test_byte_bpe_gives_every_text_back(byte_bpe, text):
    assert byte_bpe.decode(byte_bpe.encode(text)) == text


@FEW
@given(st.text(sorted({*"".join(SENTENCES)})))
def test_char_gives_a_text_of_seen_characters_back(char, text):
    ids = char.encode(text)
    assert len(ids) == len(text)
    assert char.decode(ids) == text


@pytest.mark.parametrize("kind", ["bpe", "unigram", "wordpiece"])
def test_words_with_single_spaces_come_back(kind):
    text = "the dog jumps over the fox"
    trained = train(kind)
    assert trained.decode(trained.encode(text)) == text


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("tag", TAGS)
def test_a_language_tag_in_a_text_is_one_token(case, tag, lowercase):
    tokenizer = train(case.kind, lowercase=True) if lowercase else case.tokenizer
    ids = tokenizer.encode(f"{tag} The fox")
    assert ids[0] == tokenizer.token_id(tag)
    assert not {*map(tokenizer.token_id, TAGS)} & {*tokenizer.encode("2de <2fr> < 2en >")}


def test_a_language_tag_is_decoded_as_it_was_written(case):
    assert TAGS[0] in case.tokenizer.decode(case.tokenizer.encode(f"{TAGS[0]} fox"))


def test_lowercase_sees_no_difference_between_cases(case):
    lower = train(case.kind, lowercase=True)
    assert lower.encode("THE Fox Über") == lower.encode("the fox über")
    assert case.tokenizer.encode("THE Fox") != case.tokenizer.encode("the fox")


@pytest.mark.parametrize(
    ("normalization", "text"),
    [("none", "e\u0301ﬁ"), ("nfc", "éﬁ"), ("nfkc", "éfi"), ("strip-accents", "eﬁ")],
)
def test_text_is_normalized_as_asked(normalization, text):
    trained = train("byte-bpe", normalization=normalization)
    assert trained.decode(trained.encode("e\u0301ﬁ")) == text


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [("kind", "bppe", TOKENIZERS), ("normalization", "nfd", NORMALIZATIONS)],
)
def test_an_unknown_name_is_an_error_that_lists_the_allowed(option, value, allowed):
    with pytest.raises(TokenizerError) as caught:
        train_tokenizer(SENTENCES, TrainingOptions(**{option: value}))
    assert [word for word in [repr(value), *allowed] if word not in str(caught.value)] == []


@pytest.mark.parametrize("size", [5, 259])
def test_byte_bpe_refuses_a_vocabulary_without_room_for_all_bytes(size):
    with pytest.raises(TokenizerError, match=f"vocabulary of {size} .* at least 260"):
        train("byte-bpe", vocab_size=size, special=())


@pytest.mark.parametrize("lines", [[], [""], ["", " ", "\t"]], ids=repr)
def test_no_text_to_train_on_is_a_corpus_error(case, lines):
    with pytest.raises(CorpusError, match="no text"):
        train(case.kind, lines)


def test_a_failure_while_reading_the_text_is_the_callers():
    def lines():
        yield "some text"
        raise CorpusError("line 2 is not JSON")

    with pytest.raises(CorpusError, match="line 2"):
        train("bpe", lines())


def test_text_beyond_the_byte_limit_is_left_unread():
    trained = train("char", ["aé", "bc", "de"], max_bytes=5)
    assert {sign for sign in "aébcde" if trained.token_id(sign) is not None} == {*"aébc"}


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "no JSON at all",
        lambda text: "",
        lambda text: "{}",
        lambda text: "[]",
        lambda text: "\0" * 100,
        lambda text: text[: len(text) // 2],
        lambda text: json.dumps({**json.loads(text), "model": {"type": "BPE"}}),
        lambda text: json.dumps({**json.loads(text), "pre_tokenizer": {"type": "Unheard"}}),
        lambda text: text.replace('"merges": [', '"merges": [["never", "seen"],', 1),
        lambda text: "[" * 100_000,
    ],
)
def test_a_damaged_tokenizer_file_is_a_tokenizer_error_that_names_it(byte_bpe, tmp_path, damage):
    path = tmp_path / "tokenizer.json"
    path.write_text(damage(byte_bpe.to_json()))
    with pytest.raises(TokenizerError, match=r"tokenizer\.json is no usable tokenizer: ."):
        Tokenizer.load(path)


def test_a_tokenizer_file_that_is_not_there_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"tokenizer\.json"):
        Tokenizer.load(tmp_path / "tokenizer.json")


@pytest.mark.parametrize("load", [Tokenizer.load, lambda p: read_tokenizers(p.parent).source])
def test_dropout_of_a_tokenizer_file_is_off_in_use_and_kept_in_the_file(byte_bpe, tmp_path, load):
    state = json.loads(byte_bpe.to_json())
    state["model"]["dropout"] = 0.9
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(state))
    ours = load(path)
    text = " ".join(SENTENCES)
    wanted = byte_bpe.encode(text)
    for _ in range(9):
        assert ours.encode(text) == ours.encode_batch([text])[0] == wanted
        assert ours.encode_with_specials(text) == wanted
        assert [*map(ours.token_id, ours.pieces(text))] == wanted
    affixes = ([ours.role("begin")], [ours.role("end")])
    for kept in (ours.to_json(), ours.to_json(special_affixes=affixes)):
        assert json.loads(kept)["model"]["dropout"] == pytest.approx(0.9)
    assert ours.encode(text) == wanted


def byte_fallback() -> Tokenizer:
    vocabulary = {f"<0x{byte:02X}>": byte for byte in range(256)}
    vocabulary |= {"▁a": 256, "b": 257, "한": 258, "▁": 259}
    backend = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, [], byte_fallback=True))
    parts = tokenizers.decoders
    steps = [parts.Replace("▁", " "), parts.ByteFallback(), parts.Fuse()]
    backend.decoder = parts.Sequence([*steps, parts.Strip(" ", 1, 0)])
    return Tokenizer(backend)


def test_bytes_that_make_no_text_do_not_end_a_stream():
    """As a model writes that has learnt little: with the same text wherever there is one."""
    tokenizer, chance, changed = byte_fallback(), random.Random(1), 0
    for _ in range(300):
        ids = [chance.choice([chance.randrange(256), 0x51, 256, 257, 258, 259]) for _ in range(12)]
        stream, whole = tokenizer.stream(), tokenizer.decode(ids)
        text = "".join([*map(stream.feed, ids), stream.flush()])
        assert len(text) == len(whole)
        assert all(b in (a, "�") for a, b in zip(text, whole, strict=True))
        changed += text != whole
    assert changed > 10
    stream = tokenizer.stream()
    pieces = [stream.feed(token_id) for token_id in (0x51, 0xFF, 258, *"é".encode())]
    assert (pieces, stream.flush()) == (["Q", "", "�한", "", "é"], "")


def test_a_stream_goes_on_after_bytes_that_make_no_text_without_decoding_all_again():
    tokenizer, decoded = byte_fallback(), []

    def decode(ids):
        decoded.append(len(ids))
        return tokenizer.decode(ids)

    stream = IncrementalDetokenizer(tokenizer.backend, decode, [])
    text = "".join(map(stream.feed, [0x51, 0xFF, *[257] * 50]))
    assert (text, stream.flush()) == ("Q�" + "b" * 50, "")
    assert len(decoded) == 3  # at first, where a byte changed the text, and at the end


@pytest.mark.parametrize("before", ["a�", "�", ""])
def test_a_stream_does_not_repeat_what_it_goes_on_after(before):
    """Mojibake in a prompt has the sign that stands for the beginning of a character, too."""
    tokenizer = byte_fallback()
    for ids, pieces in {
        (0x41, *"é".encode()): ["A", "", "é"],
        (*"éb".encode(),): ["", "é", "b"],
    }.items():
        stream = tokenizer.stream([*before.encode()])
        assert [stream.feed(token_id) for token_id in ids] == pieces
        assert stream.flush() == ""
