"""Rows for tokens that a tokenizer has gained: by worked examples, in every table."""

import pytest
import torch

from tests.models import VOCABULARY, model_inputs, tiny_config, tiny_model
from transformer.vocabulary_growth import grow_vocabulary, grown_config

SPELLINGS = {23: (3, 5), 24: (), 25: (4, 4, 7)}
TIED = ("encoder", "decoder", "encoder-decoder")


def test_rows_are_means_of_the_former_spelling():
    old = tiny_model("decoder")
    new = grow_vocabulary(old, SPELLINGS, first_id=VOCABULARY, seed=1)
    table, before = new.embedding.weight, old.embedding.weight
    assert table.shape == (26, 16)
    assert torch.equal(table[:23], before)
    torch.testing.assert_close(table[23], (before[3] + before[5]) / 2)
    torch.testing.assert_close(table[25], (2 * before[4] + before[7]) / 3)


def test_a_token_without_a_spelling_is_drawn_around_the_mean_of_those_there_were():
    """2,000 draws: mean and deviation of each feature are those of the rows that have tokens."""
    old = tiny_model("decoder")
    old.embedding.weight.data[20:] += 100.0  # padding, which no token had
    spellings = dict.fromkeys(range(20, 2020), ())
    new = grow_vocabulary(old, spellings, first_id=20, seed=1).embedding.weight
    used = old.embedding.weight[:20]
    torch.testing.assert_close(new[20:].mean(0), used.mean(0), rtol=0, atol=0.1)
    ratio = new[20:].std(0) / used.std(0, correction=0)
    assert ((ratio - 1).abs() < 0.1).all()
    again = grow_vocabulary(old, spellings, first_id=20, seed=1).embedding.weight
    assert torch.equal(new, again)


def test_rows_of_padding_are_used_first():
    old = tiny_model("decoder")
    new = grow_vocabulary(old, {20: (1,), 21: (2,)}, first_id=20, seed=1)
    assert new.config == old.config
    rows, before = new.embedding.weight, old.embedding.weight
    assert torch.equal(rows[[20, 21]], before[[1, 2]])
    assert torch.equal(rows[[*range(20), 22]], before[[*range(20), 22]])


@pytest.mark.parametrize("shape", TIED)
@pytest.mark.parametrize("changes", [{}, {"tie_output": False, "output_bias": True}], ids=str)
def test_former_tokens_are_read_and_written_as_before(shape, changes):
    old = tiny_model(shape, **changes)
    new = grow_vocabulary(old, SPELLINGS, first_id=VOCABULARY, seed=1)
    assert new.config == grown_config(old.config, 26)
    ids = torch.tensor([[3, 7, 9]])
    inputs = model_inputs(ids, source_BS=ids if shape == "encoder-decoder" else None)
    with torch.no_grad():
        logits, before = new(inputs), old(inputs)
    torch.testing.assert_close(logits[..., :23], before)
    expected = (before[..., 3] + before[..., 5]) / 2  # of linear maps
    torch.testing.assert_close(logits[..., 23], expected)


@pytest.mark.parametrize("own", [None, 30])
def test_a_source_table_grows_with_the_other(own):
    old = tiny_model("encoder-decoder", share_embeddings=False, source_vocab_size=own)
    new = grow_vocabulary(old, SPELLINGS, first_id=VOCABULARY, seed=1)
    assert new.source_embedding is not None and old.source_embedding is not None
    table, before = new.source_embedding.weight, old.source_embedding.weight
    assert table.size(0) == (own or 26)
    torch.testing.assert_close(table[23], (before[3] + before[5]) / 2)
    assert new.config.source_vocabulary == (own or 26)


def test_a_head_over_labels_stays():
    old = tiny_model("encoder", head="classification", labels=3, output_bias=True)
    new = grow_vocabulary(old, SPELLINGS, first_id=VOCABULARY, seed=1)
    assert new.head.weight is not None and old.head.weight is not None
    assert torch.equal(new.head.weight, old.head.weight)
    assert new.embedding.weight.size(0) == 26


def test_a_configuration_keeps_larger_tables():
    config = tiny_config("encoder-decoder", share_embeddings=False, source_vocab_size=40)
    grown = grown_config(config, 30)
    assert (grown.vocab_size, grown.source_vocab_size) == (30, 40)
    assert grown_config(config, 20) == config
