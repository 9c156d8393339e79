"""Scores: perplexity by hand, BLEU and chrF as sacreBLEU itself gives them."""

import builtins
import math
from pathlib import Path

import pytest
import sacrebleu
import torch

from tests.models import tiny_model
from tokenizer import CorpusError, TextChunk, TrainingOptions, train_tokenizer
from transformer.errors import ConfigError, MissingExtraError
from transformer.evaluation import Likelihood, text_likelihood, translation_scores
from transformer.loading import LoadedModel, default_generation_config

HYPOTHESES = ["the cat sat on the mat .", "a dog runs", "nothing to see here"]
REFERENCES = ["the cat sat on a mat .", "a dog is running fast", "nothing to see here"]


def test_perplexity_and_bits_worked_by_hand() -> None:
    """Two tokens of probability 1/4 that stand for 4 bytes: 2 bits a token, 1 bit a byte."""
    found = Likelihood(nats=2 * math.log(4), tokens=2)
    assert found.perplexity == pytest.approx(4.0)
    assert found.bits_per_byte(4) == pytest.approx(1.0)


@pytest.mark.parametrize("context", [8, 64])
@torch.no_grad()
def test_a_texts_likelihood_is_the_sum_over_its_windows(context: int) -> None:
    tokenizer = train_tokenizer(["abcabc"] * 5, TrainingOptions(kind="char", vocab_size=20))
    model = tiny_model("decoder", vocab_size=tokenizer.vocab_size, max_positions=context)
    loaded = LoadedModel(model, tokenizer, default_generation_config(tokenizer), Path("nowhere"))
    text = "abcacbabcaabbcc"
    chunks = [TextChunk(text[:7], False), TextChunk(text[7:], True)]
    found, size, _ = text_likelihood(loaded, chunks)
    ids = [loaded.generation.end_id, *tokenizer.encode(text)]
    nats = 0.0
    for start in range(0, len(ids) - 1, context):
        window = torch.tensor([ids[start : start + context + 1]])
        chances = model(window[:, :-1]).log_softmax(-1)
        nats -= chances.gather(2, window[:, 1:, None]).sum().item()
    assert (found.tokens, size) == (len(text), len(text))
    assert found.nats == pytest.approx(nats, rel=1e-5)
    lines = [TextChunk("abc\n犬b\n\ufffda\né", True), TextChunk("c\n", True)]
    assert text_likelihood(loaded, lines).unknown_lines == 2
    with pytest.raises(CorpusError, match="no text"):
        text_likelihood(loaded, [])


@pytest.mark.parametrize("tokenize", ["13a", "none", "char"])
def test_scores_and_signatures_are_sacrebleus(tokenize: str) -> None:
    found = translation_scores(HYPOTHESES, REFERENCES, tokenize=tokenize)
    bleu = sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES], tokenize=tokenize, force=True)
    assert found["bleu"].value == pytest.approx(bleu.score)
    assert f"tok:{tokenize}|" in found["bleu"].signature
    chrf = sacrebleu.corpus_chrf(HYPOTHESES, [REFERENCES])
    assert found["chrf"].value == pytest.approx(chrf.score)


@pytest.mark.parametrize("compare_with_chance", [True, False])
def test_without_texts_there_is_no_score(compare_with_chance: bool) -> None:
    with pytest.raises(CorpusError, match="not a line"):
        translation_scores([], [], compare_with_chance=compare_with_chance)


def test_an_unknown_tokenization_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no tokenization 'moses'; allowed: .*13a"):
        translation_scores(HYPOTHESES, REFERENCES, tokenize="moses")


def test_without_sacrebleu_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("sacrebleu"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"pip install 'transduce\[eval\]'"):
        translation_scores(HYPOTHESES, REFERENCES)
