"""What noise knows of real tokenizers: special tokens, words, sentences and sentinels."""

import numpy as np
import pytest

from tests.pipelines.term_texts import LINES, SENTENCEPIECE, tokenizer_of
from tokenizer import TOKENIZERS, Tokenizer, TrainingOptions, train_tokenizer
from tokenizer.special import MASK, sentinel
from transformer.data.noise import MaskingOptions, NoiseVocabulary, mask_tokens
from transformer.data.noise.denoising import sentence_starts
from transformer.training.noise_vocabulary import noise_vocabulary

SENTINELS = tuple(sentinel(n) for n in (2, 0, 1))
TEXT = "the cat sat. a mat! New cat"


@pytest.fixture(scope="module", params=[*TOKENIZERS, *SENTENCEPIECE])
def tokenizer(request, tmp_path_factory) -> Tokenizer:
    if request.param in SENTENCEPIECE:
        return tokenizer_of(request.param, tmp_path_factory.mktemp("tokens"))
    special = (MASK, "<2de>", *SENTINELS)
    return train_tokenizer(
        LINES, TrainingOptions(kind=request.param, vocab_size=400, special=special)
    )


@pytest.fixture(scope="module")
def facts(tokenizer: Tokenizer) -> NoiseVocabulary:
    return noise_vocabulary(tokenizer, tokenizer.vocab_size + 8)


def test_special_tokens_and_ids_without_a_token_are_not_ordinary(tokenizer, facts) -> None:
    special = {*tokenizer.special_tokens().values(), *facts.sentinel_ids}
    special |= set() if facts.mask_id is None else {facts.mask_id, tokenizer.token_id("<2de>")}
    beyond = set(range(tokenizer.vocab_size, tokenizer.vocab_size + 8))
    assert set(np.flatnonzero(facts.is_special_V)) == special | beyond
    assert not {*tokenizer.encode(TEXT)} & special


def test_the_mask_and_the_sentinels_are_known_by_their_names(tokenizer, facts) -> None:
    assert facts.mask_id == tokenizer.token_id(MASK)
    names = [tokenizer.token(i) for i in facts.sentinel_ids]
    assert names == ([] if facts.mask_id is None else sorted(SENTINELS))


def test_words_of_a_text_are_its_words(tokenizer, facts) -> None:
    ids = np.array(tokenizer.encode(TEXT))
    starts = np.flatnonzero(facts.word_starts(ids, whole_words=True))
    words = [tokenizer.decode(part.tolist()).strip() for part in np.split(ids, starts[1:])]
    marks = (".", "!")
    assert [word for word in words if word not in marks] == (
        TEXT.replace(".", "").replace("!", "").split()
    )


def test_sentences_end_with_their_marks(tokenizer, facts) -> None:
    ids = np.array(tokenizer.encode(TEXT))
    parts = np.split(ids, sentence_starts(ids, facts.ends_sentence_V)[1:])
    sentences = [tokenizer.decode(part.tolist()).strip().replace(" ", "") for part in parts]
    assert sentences == ["thecatsat.", "amat!", "Newcat"]


def test_whole_words_are_masked_whole(tokenizer, facts) -> None:
    if facts.mask_id is None:
        pytest.skip("it has no mask")
    ids = np.array(tokenizer.encode(TEXT))
    options = MaskingOptions(probability=0.5, masked=1, random=0, kept=0, whole_words=True)
    word = np.cumsum(facts.word_starts(ids, whole_words=True))
    for seed in range(10):
        masked = mask_tokens(ids, np.random.default_rng(seed), facts, options)[0] == facts.mask_id
        assert not set(word[masked]) & set(word[~masked])
