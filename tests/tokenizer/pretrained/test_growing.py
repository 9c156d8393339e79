"""Published tokenizers of all families grow, or say why they cannot."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.families.random_tokenizers import TOKENIZERS
from tests.tokenizer.growing_texts import NEW, lines
from tests.tokenizer.pretrained.folders import TEXTS, WORDS, sentences
from tokenizer import TokenizerError, read_tokenizers
from tokenizer.growing import GrowthOptions, grow_tokenizer

REFUSED = {"marian", "m2m_100"}  # they have pieces that their models have not learnt


@pytest.fixture(scope="module", params=TOKENIZERS)
def pair(request, tmp_path_factory):
    """A tokenizer as it was and as it has grown, the latter read again."""
    family = TOKENIZERS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    family.write(family.draw(random.Random(3)), folder)
    old = read_tokenizers(folder).source
    text, options = [*lines(NEW), *sentences()], GrowthOptions(size=200, special=("<2el>",))
    try:
        growth = grow_tokenizer(old, lambda: text, options)
    except TokenizerError as error:
        assert request.param in REFUSED
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp(request.param)
    growth.tokenizer.save(folder / "tokenizer.json")
    return old, growth, read_tokenizers(folder).source


def test_old_tokens_keep_their_ids(pair):
    old, growth, new = pair
    assert all(new.token(i) == old.token(i) for i in range(growth.first_id))
    assert new.special_affixes() == old.special_affixes()
    assert new.special_tokens() == old.special_tokens()
    assert growth.first_id == old.largest_id + 1
    assert 40 <= growth.added <= 201
    assert new.encode("<2el>")[-1] == growth.first_id


PARTS = st.sampled_from(
    [*WORDS, *NEW, *TEXTS, "<2el>", "<extra_id_0>", "</s>", "[MASK]", "eng_Latn"]
)


def test_texts_keep_their_ids_unless_a_further_token_is_in_them(pair):
    old, growth, new = pair

    @given(st.lists(PARTS, max_size=8).map(" ".join))
    @settings(max_examples=30, deadline=None)
    def check(text):
        after = new.encode(text)
        if not growth.spellings.keys() & {*after}:
            assert after == old.encode(text)

    check()


def test_a_new_script_takes_fewer_tokens(pair):
    _, _, new = pair
    text = lines(NEW, seed=5)
    grown = sum(map(len, new.encode_batch(text)))
    assert grown <= 0.8 * sum(len(line) for line in text)
    assert not any(new.unknown_characters([line.replace("8", "") for line in text]))
