"""Scores: perplexity by hand, BLEU and chrF as sacreBLEU itself gives them."""

import builtins
import math
from pathlib import Path

import numpy as np
import pytest
import sacrebleu
import torch

from tests.models import model_inputs, tiny_model
from tokenizer import CorpusError, TextChunk, TrainingOptions, train_tokenizer
from transformer.errors import ConfigError, MissingExtraError
from transformer.evaluation import (
    Likelihood,
    check_comparable,
    compare_translations,
    stored_likelihood,
    text_likelihood,
    translation_scores,
)
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
    seen: list[tuple[int, int]] = []
    found, size, _ = text_likelihood(loaded, chunks, lambda *counts: seen.append(counts))
    assert seen[-1] == (found.tokens, found.tokens)
    ids = [loaded.generation.end_id, *tokenizer.encode(text)]
    nats = 0.0
    for start in range(0, len(ids) - 1, context):
        window = torch.tensor([ids[start : start + context + 1]])
        chances = model(model_inputs(window[:, :-1])).log_softmax(-1)
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


def test_two_systems_are_compared_by_sacrebleus_paired_bootstrap() -> None:
    """The better one's difference is positive, with sacreBLEU's own p-value and signature."""
    from sacrebleu.metrics.chrf import CHRF
    from sacrebleu.significance import PairedTest

    hypotheses, others = HYPOTHESES * 9, ["the mat sat", "a run dogs", "nothing here"] * 9
    references = REFERENCES * 9
    compared = compare_translations(hypotheses, others, references)
    scores = [translation_scores(texts, references) for texts in (hypotheses, others)]
    for name, found in compared.items():
        assert found.difference == pytest.approx(scores[0][name].value - scores[1][name].value)
        assert found.difference > 0
        assert found.is_significant
        assert "bs:1000|seed:12345" in found.signature
    test = PairedTest(
        [("b", others), ("a", hypotheses)], {"chrf": CHRF()}, [references], test_type="bs"
    )
    assert compared["chrf"].p_value == test()[1]["chrF2"][1].p_value
    same = compare_translations(hypotheses, hypotheses, references)["bleu"]
    assert (same.difference, same.p_value, same.is_significant) == (0, 1, False)


def test_too_many_lines_to_compare_are_refused_before_the_work() -> None:
    check_comparable(20_000)
    with pytest.raises(ConfigError, match=r"at most 20,000 lines.* these are 20,001"):
        check_comparable(20_001)


def test_the_likelihood_of_stored_ids_is_that_of_their_text() -> None:
    tokenizer = train_tokenizer(["abcabc"] * 5, TrainingOptions(kind="char", vocab_size=20))
    model = tiny_model("decoder", vocab_size=tokenizer.vocab_size, max_positions=8)
    loaded = LoadedModel(model, tokenizer, default_generation_config(tokenizer), Path("nowhere"))
    chunks = [TextChunk("abcab", True, is_record=True), TextChunk("cé", True, is_record=True)]
    end = loaded.generation.end_id
    ids = [end, *tokenizer.encode("abcab"), end, *tokenizer.encode("cé"), end]
    stored = stored_likelihood(loaded, np.array(ids, np.uint16), 8)
    assert stored._replace(unknown_lines=1) == text_likelihood(loaded, chunks)
    with pytest.raises(CorpusError, match="no text"):
        stored_likelihood(loaded, np.array([end], np.uint16), None)
