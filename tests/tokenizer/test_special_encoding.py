"""Special tokens that a text spells out, some meant, some not; what a tokenizer.json may hold."""

import json

import pytest
import tokenizers
from tokenizers import models, pre_tokenizers
from tokenizers.processors import TemplateProcessing

from tokenizer import TOKENIZERS, Tokenizer, TokenizerError, TrainingOptions, train_tokenizer
from tokenizer.backend_errors import _first_line
from tokenizer.limits import MAX_ADDED, check_contents, has_nested_quantifiers
from tokenizer.special import OUT_OF_VOCABULARY

LINES = ["the cat sat on the mat </s> and <pad> <unk> 1 < 2"] * 5


@pytest.fixture(scope="module", params=TOKENIZERS)
def trained(request):
    size = 300 if request.param == "byte-bpe" else 80
    return train_tokenizer(LINES, TrainingOptions(kind=request.param, vocab_size=size))


TEXT = "the</s> cat <s>sat</s></s>"
PLACES = [place for place in range(len(TEXT)) if TEXT.startswith(("</s>", "<s>"), place)]


def meant(tokenizer, ids):
    return [i for i in ids if i in {tokenizer.require_role("begin"), tokenizer.require_role("end")}]


def test_special_tokens_are_recognised_but_for_those_that_are_ordinary(trained):
    begin, end = trained.require_role("begin"), trained.require_role("end")
    special = [end, begin, end, end]
    assert meant(trained, trained.encode_with_specials(TEXT)) == special
    for place in range(4):
        ids = trained.encode_with_specials(TEXT, ordinary_indices=[PLACES[place]])
        assert meant(trained, ids) == special[:place] + special[place + 1 :]
    assert meant(trained, trained.encode_with_specials(TEXT, ordinary_indices=PLACES)) == []
    assert meant(trained, trained.encode(TEXT)) == []


def test_what_stands_between_special_tokens_stays_where_it_is(trained):
    """With one of them ordinary, the others and the text come in the text's order."""
    name = trained.token(trained.require_role("end"))
    text = f"cat{name}mat{name}the sat"
    ids = trained.encode_with_specials(text, ordinary_indices=[3])
    place = ids.index(trained.require_role("end"))
    before, after = ids[:place], ids[place + 1 :]
    assert trained.require_role("end") not in after
    whole = trained.decode(trained.encode(f"cat{name}mat"))
    assert trained.decode(before) == whole
    assert trained.decode(after).strip() == "the sat"
    assert max(ids) < trained.vocab_size


def test_private_characters_of_a_text_stand_for_nothing():
    """Also where they are those that would have stood for special tokens, and come one by one."""
    options = TrainingOptions(kind="byte-bpe", vocab_size=300, normalization="none")
    trained = train_tokenizer(LINES, options)
    for private in ("\U000f0000", "\U000f0001", "\U000f0003\U000f0006", "\U000ffffd"):
        for text in (f"{private}</s> a </s>{private}", f"</s>{private * 3}</s>"):
            ids = trained.encode_with_specials(text, ordinary_indices=[text.rindex("</s>")])
            assert meant(trained, ids) == [3]
            assert trained.decode(ids) == text.replace("</s>", "", 1)


def framed():
    """Words with a frame, of which one token is in the frame alone."""
    backend = tokenizers.Tokenizer(models.WordLevel({"a": 0, "b": 1, "<unk>": 2}, "<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = TemplateProcessing(
        single=["<s>", "$A", "</s>"], special_tokens=[("<s>", 3), ("</s>", 9)]
    )
    return backend


def test_a_frame_is_what_stands_around_a_text():
    tokenizer = Tokenizer(framed())
    assert tokenizer.special_affixes() == ([3], [9])
    assert tokenizer.encode("a b") == [0, 1]
    assert tokenizer.largest_id == 9
    assert tokenizer.to_json(special_affixes=([3], [9])) == tokenizer.to_json()
    nothing = tokenizers.Tokenizer(models.WordLevel({"b": 0}, "<unk>"))
    nothing.post_processor = TemplateProcessing(single=["b", "$A"], special_tokens=[("b", 0)])
    nothing.pre_tokenizer = pre_tokenizers.Split("a", "removed")
    assert Tokenizer(nothing).special_affixes() == ([], [])


def test_another_frame_stands_around_one_text_and_between_two(trained):
    text = trained.to_json(special_affixes=([2], [3, 1]))
    backend = tokenizers.Tokenizer.from_str(text)
    one, two = trained.encode("the cat"), trained.encode("mat")
    assert backend.encode("the cat").ids == [2, *one, 3, 1]
    assert backend.encode("the cat", "mat").ids == [2, *one, 3, 1, *two, 3, 1]
    assert Tokenizer(backend).special_affixes() == ([2], [3, 1])


def test_padding_and_truncation_of_a_file_are_none_of_a_texts(trained):
    backend = tokenizers.Tokenizer.from_str(trained.to_json())
    backend.enable_truncation(2)
    backend.enable_padding(length=9)
    ours = Tokenizer(backend)
    texts = ["the", "the cat sat on the mat"]
    assert ours.encode_batch(texts) == [trained.encode(text) for text in texts]


def test_ids_are_counted_with_added_tokens():
    options = TrainingOptions(kind="char", vocab_size=60, special=("<2de>", "<2en>"))
    tokenizer = train_tokenizer(LINES, options)
    assert tokenizer.vocab_size == tokenizer.largest_id + 1 == tokenizer.token_id("<2en>") + 1
    assert "<2de>" not in tokenizer.special_tokens()
    assert tokenizer.describe()["vocabulary"] == tokenizer.vocab_size


def test_pieces_without_a_meaning_are_unknown():
    backend = tokenizers.Tokenizer(
        models.WordLevel({"<unk>": 0, "a": 1, OUT_OF_VOCABULARY: 2, "b": 3}, "<unk>")
    )
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = Tokenizer(backend)
    assert (tokenizer.vocab_size, tokenizer.largest_id) == (2, 1)
    assert tokenizer.encode("a b x") == [1, 0, 0]
    assert tokenizer._replace_out_of_vocabulary([0, 1, 2, 3]) == [0, 1, 0, 0]


def contents(**changes):
    """A tokenizer.json with other parts."""
    text = train_tokenizer(LINES, TrainingOptions(kind="char", vocab_size=40)).to_json()
    return json.dumps({**json.loads(text), **changes})


def replace(pattern, content):
    return {"type": "Replace", "pattern": pattern, "content": content}


def steps(kind, *parts):
    name = "normalizers" if kind == "normalizer" else "decoders"
    return {kind: {"type": "Sequence", name: [*parts]}}


@pytest.mark.parametrize("kind", ["normalizer", "decoder"])
@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([replace({"String": "a"}, "x" * 999)], None),
        ([replace({"String": "a"}, "x" * 1001)], "makes texts 1,001 times as long"),
        ([replace({"String": "a" * 100}, "x" * 5000)], None),  # 50 times
        ([replace({"String": "a"}, "x" * 40)] * 2, "makes texts 1,600 times as long"),
        ([replace({"String": "a"}, "x" * 30)] * 2, None),
        ([replace({"Regex": "."}, "x" * 40)] * 2, "makes texts 1,600"),
        ([replace({"Regex": ""}, "x" * 400)], None),  # before and after: 1,200 of one at most
        ([replace({"Regex": ""}, "x" * 600)], "makes texts"),
        ([{"type": "Prepend", "prepend": "x" * 1001}], "makes texts"),
        ([replace({"String": "a"}, "b")] * 101, "has 10[12] steps; at most 100"),
    ],
)
def test_steps_that_grow_a_text_are_refused(kind, parts, words):
    text = contents(**steps(kind, *parts))
    if words is None:
        check_contents(text)
        return
    with pytest.raises(ValueError, match=f"its {kind} {words}"):
        check_contents(text)


def test_what_else_a_file_may_not_ask_for():
    frame = {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}}] * 101}
    huge = {"type": "Replace", "pattern": {"String": "x" * (5 << 20)}, "content": ""}
    added = json.loads(contents())["added_tokens"]
    added[0]["content"] = "x" * (MAX_ADDED + 1)
    for text, words in (
        (contents(post_processor=frame), "its post_processor has 101 parts; at most 100"),
        (contents(normalizer=huge), "its normalizer has .* bytes; at most"),
        (contents(added_tokens=added), "an added token of 10,001 characters"),
        ("[1" + ",1" * 3_000_001 + "]", "more than 3,000,000 values"),
    ):
        with pytest.raises(ValueError, match=words):
            check_contents(text)
    added[0]["content"] = "x" * MAX_ADDED
    check_contents(contents(added_tokens=added))


@pytest.mark.parametrize(
    ("pattern", "may"), [("(a+)+b", True), (r"(a)\1", True), ("(a|b)+c", False), ("a+b*", False)]
)
def test_patterns_that_may_run_away_are_found(pattern, may):
    backend = tokenizers.Tokenizer(models.BPE())
    split = pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
    backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), split])
    assert has_nested_quantifiers(backend) is may


@pytest.mark.parametrize("ordinary", [[4], [3, 4], []])
def test_a_special_token_may_take_the_space_before_it(ordinary):
    """Where its text begins counts, not where its space does."""
    trained = train_tokenizer(LINES, TrainingOptions(kind="char", vocab_size=40))
    backend = tokenizers.Tokenizer.from_str(trained.to_json())
    backend.add_special_tokens([tokenizers.AddedToken("<END>", lstrip=True, normalized=False)])
    ours = Tokenizer(backend)
    found = ours.token_id("<END>") in ours.encode_with_specials(
        "the <END>", ordinary_indices=ordinary
    )
    assert found is (ordinary == [])


@pytest.mark.parametrize(
    ("error", "line"),
    [(ValueError("a\nb"), "a"), (ValueError(), "ValueError"), (ValueError("x" * 999), "x" * 200)],
)
def test_an_error_is_one_short_line(error, line):
    assert _first_line(error) == line


def test_an_error_is_one_line(tmp_path):
    (tmp_path / "tokenizer.json").write_text('{"model": {"type":\n "BPE"}}')
    with pytest.raises(TokenizerError) as caught:
        Tokenizer.load(tmp_path / "tokenizer.json")
    assert "\n" not in str(caught.value)
