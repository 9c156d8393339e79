"""Characters that tokens stand for, through every kind of tokenizer and normalization."""

import random
import re
import unicodedata
from itertools import product

import pytest

from tests.tokenizer.pretrained.folders import WORDS, sentencepiece_model, write_bert
from tests.tokenizer.pretrained.test_any_text import both
from tokenizer import (
    NORMALIZATIONS,
    TOKENIZERS,
    Tokenizer,
    TrainingOptions,
    read_tokenizers,
    train_tokenizer,
)
from tokenizer.scripts import is_attached

TEXTS = [
    "The quick brown fox  jumps over the lazy dog.",
    "  Zwo\u0308lf Boxka\u0308mpfer jagen Viktor u\u0308ber den großen Deich! ",
    "日本語のテキスト、か\u3099き\u3099 ｶﾞｷﾞ ㎏ ① ½",
    "👩\u200d👩\u200d👧 und 👍🏽 ❤\ufe0f 🇩🇪 ok",
    "ﬁne İstanbul ẞ Å \u212b q\u0307\u0323a e\u0323\u0301",
    "हिन्दी क\u093c 한국어 \u1112\u1161\u11ab\u1100\u116e\u11a8 כָּלֵב",
    "co\u00adop\u200bz \u0344a\u0345 \ufdfa\tx\u3000y",
]
SIGNS = sorted({*"".join(TEXTS)})
CASES = list(product(TOKENIZERS, NORMALIZATIONS, (False, True)))


def spelled(tokenizer: Tokenizer, names: list[str]) -> str:
    """The text of tokens, without the white space in it and before it."""
    if names[0].startswith("##"):  # which WordPiece's decoder leaves at the beginning
        names = [names[0][2:], *names[1:]]
    text = tokenizer.backend.decoder.decode(names)
    return "".join(text.replace("▁", " ").split())


def edges(text: str) -> list[int]:
    """The indexes at which a text can be cut without taking marks from their letters."""
    return [i for i, c in enumerate(text) if not i or not is_attached(c)] + [len(text)]


def check(tokenizer: Tokenizer, text: str) -> int:
    """Check that each part of a text is what its tokens are; the number of parts."""
    ids, offsets = tokenizer.encode_with_offsets(text)
    assert ids == tokenizer.encode(text)
    assert len(offsets) == len(ids)
    assert offsets == sorted(offsets)
    assert all(0 <= start <= end <= len(text) for start, end in offsets)
    assert [end for _, end in offsets] == sorted(end for _, end in offsets)
    cuts = edges(text)
    groups: list[tuple[int, int, list[str]]] = []
    for token_id, (start, end) in zip(ids, offsets, strict=True):
        first = max(cut for cut in cuts if cut <= start)
        last = min(cut for cut in cuts if cut >= end)
        names = [str(tokenizer.token(token_id))]
        if groups and first < groups[-1][1]:
            before = groups.pop()
            first, last, names = before[0], max(last, before[1]), before[2] + names
        groups.append((first, last, names))
    normalizer = tokenizer.backend.normalizer
    for first, last, names in groups:
        part = text[first:last]
        part = normalizer.normalize_str(part) if normalizer else part
        if "<unk>" not in names:
            assert spelled(tokenizer, names) == "".join(part.replace("▁", " ").split()), text
    return len(groups)


def train(kind: str, normalization: str = "none", *, lowercase: bool = False) -> Tokenizer:
    forms = ("NFC", "NFD", "NFKC", "NFKD")
    lines = [unicodedata.normalize(form, text) for form in forms for text in TEXTS]
    lines += [line.lower() for line in lines]
    options = TrainingOptions(
        kind=kind, vocab_size=900, normalization=normalization, lowercase=lowercase
    )
    return train_tokenizer(lines, options)


@pytest.mark.parametrize(("kind", "normalization", "lowercase"), CASES)
def test_each_part_of_a_text_is_what_its_tokens_are(
    kind: str, normalization: str, lowercase: bool
) -> None:
    trained = train(kind, normalization, lowercase=lowercase)
    rng = random.Random(0)
    mixed = ["".join(rng.choices(SIGNS, k=rng.randint(1, 9))) for _ in range(60)]
    assert sum(check(trained, text) for text in [*TEXTS, *mixed]) > 200


@pytest.mark.parametrize(("kind", "normalization", "lowercase"), CASES)
def test_every_visible_character_has_a_token(
    kind: str, normalization: str, lowercase: bool
) -> None:
    trained = train(kind, normalization, lowercase=lowercase)
    for text in (re.sub("[\u00ad\u200b]", "", each) for each in TEXTS):
        _, offsets = trained.encode_with_offsets(text)
        covered = {index for start, end in offsets for index in range(start, end)}
        missing = [c for i, c in enumerate(text) if i not in covered and not c.isspace()]
        assert not [c for c in missing if not is_attached(c)]
        if normalization != "strip-accents":
            assert missing == []


def test_ranges_worked_by_hand() -> None:
    text = " O\u0308t\u00f6 ﬁn"
    trained = train("char", "nfkc", lowercase=True)
    ids, offsets = trained.encode_with_offsets(text)
    assert [trained.token(i) for i in ids] == [" ", "ö", "t", "ö", " ", "f", "i", "n"]
    assert offsets == [(0, 1), (1, 3), (3, 4), (4, 5), (5, 6), (6, 7), (6, 7), (7, 8)]
    ids, offsets = train("bpe").encode_with_offsets("the  dog")
    parts = ["the  dog"[start:end] for start, end in offsets]
    assert "".join(part.strip() for part in parts) == "thedog"
    assert all(part == part.strip() or not part.strip() for part in parts)


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_the_space_that_is_put_before_a_text_is_no_character_of_it(kind: str) -> None:
    trained = train(kind)
    ids, offsets = trained.encode_with_offsets("\u1112x")
    assert trained.token(ids[0]) == "▁"
    assert offsets[:2] == [(0, 0), (0, 1)]
    ids, offsets = trained.encode_with_offsets("▁x")  # a sign of the text that is written so
    assert offsets[0][0] == 0
    assert offsets[-1] == (1, 2)


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@pytest.mark.parametrize("rule", ["nmt_nfkc", "nmt_nfkc_cf", "identity"])
def test_tokens_of_published_sentencepiece_models(kind: str, rule: str) -> None:
    words = (*WORDS, *"".join(TEXTS).split(), "\u00e9", "über")
    data = sentencepiece_model(kind, 700, words=words, normalization_rule_name=rule)
    tokenizer, _ = both(data)
    for text in TEXTS:
        ids, offsets = tokenizer.encode_with_offsets(text)
        assert ids == tokenizer.encode(text)
        for token_id, (start, end) in zip(ids, offsets, strict=True):
            name = str(tokenizer.token(token_id)).replace("▁", "")
            if name.isascii() and name.isalnum() and (part := text[start:end]).isascii():
                assert name == (part.lower() if rule.endswith("cf") else part)
    text = "u\u0308ber ｶﾞ"
    _, offsets = tokenizer.encode_with_offsets(text)
    covered = {index for start, end in offsets for index in range(start, end)}
    assert covered >= {index for index, sign in enumerate(text) if sign != " "}


def test_tokens_of_a_published_bert(tmp_path) -> None:
    write_bert(tmp_path)
    tokenizer = read_tokenizers(tmp_path).source
    text = "Zwo\u0308lf co\u00adop 中x\x00y"
    ids, offsets = tokenizer.encode_with_offsets(text)
    assert ids == tokenizer.encode(text)
    covered = {index for start, end in offsets for index in range(start, end)}
    assert [c for i, c in enumerate(text) if i not in covered] == [" ", " ", "\x00"]
