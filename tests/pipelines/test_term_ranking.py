"""Where a term goes: worked examples with the attention and the probabilities written down."""

from collections.abc import Sequence

import pytest
import torch

from tests.pipelines.test_terms import model
from transformer.decoding import Hypothesis, Request
from transformer.pipelines import term_ranking
from transformer.pipelines.phrases import Phrase
from transformer.pipelines.term_positions import Draft, Position
from transformer.pipelines.term_ranking import rank_aligned, rank_insertions, rank_unaligned
from transformer.pipelines.word_tokens import word_tokens

LOADED = model("char")
TOKENIZER = LOADED.tokenizer
END = 3
SOURCE = [10, 11, 12, 13]  # one token a word; 11 is what the term translates
ABLATED = [10, 12, 13]


def draft_of(text: str, *, prefix: str = "") -> Draft:
    ids = TOKENIZER.encode(text)
    request = Request(prompt=[2], source=SOURCE, max_new_tokens=60, prefix=TOKENIZER.encode(prefix))
    words = word_tokens(TOKENIZER, TOKENIZER.vocab_size, LOADED.generation.end_ids)
    hypothesis = Hypothesis(ids, 0.0, [0.0] * (len(ids) + 1), "end", end_id=END)
    return Draft(request, hypothesis, len(request.prefix), words, TOKENIZER)


def by_word(text: str, values: dict[str, float], default: float = 0.0) -> list[float]:
    """A value for each token of a text: the word's for its first one, else the default."""
    result = [default] * len(TOKENIZER.encode(text))
    for word, value in values.items():
        before = text[: text.index(word)].rstrip()
        result[len(TOKENIZER.encode(before)) if before else 0] = value
    return result


def shown(draft: Draft, position: Position) -> str:
    """The text with the phrase at a position."""
    ids = draft.with_phrase(position)
    return TOKENIZER.decode([token for token in ids if token != END])


def aligned(
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    *,
    attention: dict[str, float],
    influence: dict[str, float],
    rests: dict[str, float] | None = None,
    source_words: int = 1,
    prefix: str = "",
) -> list[str]:
    """The texts with "a bat" at its positions, best first.

    `attention` is that of each word to the span, `influence` the nats that it loses without it, and
    `rests` the log-probabilities of texts with the term, which are 0 else.
    """
    draft = draft_of(text, prefix=prefix)

    def attention_weights(*_: object) -> list[torch.Tensor]:
        weights_TS = torch.zeros(len(draft.hypothesis.ids), len(SOURCE))
        weights_TS[:, 1] = torch.tensor(by_word(text, attention))
        return [weights_TS]

    def text_log_probs(
        _: object, request: Request, texts: Sequence[Sequence[int]]
    ) -> list[list[float]]:
        rows = []
        for ids in texts:
            row = [0.0] * len(ids)
            if [*ids] == draft.hypothesis.ids:
                has_span = request.source == SOURCE
                row = [0.0 if has_span else -value for value in by_word(text, influence)]
            else:
                plain = TOKENIZER.decode([token for token in ids if token != END])
                row[-1] = (rests or {}).get(plain, 0.0) / 2
            rows.append(row)
        return rows

    monkeypatch.setattr(term_ranking, "attention_weights", attention_weights)
    monkeypatch.setattr(term_ranking, "text_log_probs", text_log_probs)
    positions = draft.positions(Phrase(TOKENIZER, "a bat"))
    ranked = rank_aligned(LOADED, draft, positions, ABLATED, source_words)
    return [shown(draft, position) for position in ranked]


TEXT = "the cat sat on no mat."


def test_a_term_comes_instead_of_the_word_that_the_model_looks_at_its_source_for(
    monkeypatch,
) -> None:
    found = aligned(
        monkeypatch, TEXT, attention={"cat": 0.9, "the": 0.3, "sat": 0.2}, influence={"cat": 5.0}
    )
    assert found == [
        "the a bat sat on no mat.",
        "a bat cat sat on no mat.",
        "the cat a bat on no mat.",
    ]


def test_a_verb_that_is_predicted_from_its_subject_is_read_as_itself(monkeypatch) -> None:
    # The step that predicts "sat" looks at the subject, the one that reads it does not; "cat" has
    # less attention, but would not be there without the span.
    found = aligned(monkeypatch, TEXT, attention={"cat": 0.8, "sat": 0.95}, influence={"cat": 4.0})
    assert found[0] == "the a bat sat on no mat."
    found = aligned(monkeypatch, TEXT, attention={"cat": 0.8, "sat": 0.95}, influence={})
    assert found[0] == "the cat a bat on no mat."


def test_influence_counts_up_to_a_limit(monkeypatch) -> None:
    found = aligned(
        monkeypatch, TEXT, attention={"cat": 0.9, "mat": 0.2}, influence={"cat": 4.0, "mat": 50.0}
    )
    assert found[0] == "the a bat sat on no mat."


def test_punctuation_after_a_replaced_word_stays(monkeypatch) -> None:
    found = aligned(monkeypatch, TEXT, attention={"mat": 0.9}, influence={"mat": 5.0})
    assert found[0] == "the cat sat on no a bat."
    found = aligned(monkeypatch, "no cat, no mat.", attention={"cat": 0.9}, influence={"cat": 5.0})
    assert found[0] == "no a bat, no mat."


def test_of_similar_words_the_one_decides_that_leaves_a_better_rest(monkeypatch) -> None:
    both = {"cat": 0.8, "mat": 0.8}
    rests = {"the a bat sat on no mat.": -30.0}
    found = aligned(monkeypatch, TEXT, attention=both, influence={}, rests=rests)
    assert found[0] == "the cat sat on no a bat."


def test_two_words_are_replaced_where_both_translate_it_and_the_rest_is_better(monkeypatch) -> None:
    looks = {"attention": {"cat": 0.9, "sat": 0.6}, "influence": {"cat": 5.0, "sat": 5.0}}
    whole = {"the a bat on no mat.": 0.0, "the a bat sat on no mat.": -12.0}
    assert aligned(monkeypatch, TEXT, rests=whole, **looks)[0] == "the a bat on no mat."
    little = {"the a bat sat on no mat.": -5.0}
    assert aligned(monkeypatch, TEXT, rests=little, **looks)[0] == "the a bat sat on no mat."


def test_words_before_the_best_are_replaced_for_a_source_of_several_words_alone(
    monkeypatch,
) -> None:
    looks = {"attention": {"the": 0.88, "cat": 0.9}, "influence": {"the": 4.0, "cat": 5.0}}
    rests = {"the a bat sat on no mat.": -20.0, "a bat cat sat on no mat.": -20.0}
    one = aligned(monkeypatch, TEXT, rests=rests, **looks)
    assert one[0] == "the a bat sat on no mat."
    two = aligned(monkeypatch, TEXT, rests=rests, source_words=2, **looks)
    assert two[0] == "a bat sat on no mat."
    even = aligned(monkeypatch, TEXT, source_words=2, **looks)
    assert even[0] == "a bat sat on no mat."  # two words are expected


def test_nothing_is_replaced_where_the_text_does_not_translate_the_span(monkeypatch) -> None:
    found = aligned(monkeypatch, TEXT, attention={"cat": 0.05}, influence={})
    assert sorted(found) == sorted(
        shown(draft, p)
        for draft in [draft_of(TEXT)]
        for p in draft.positions(Phrase(TOKENIZER, "a bat"))
    )


def test_a_prefix_that_translates_the_span_leaves_no_position(monkeypatch) -> None:
    asked = {"attention": {"cat": 0.9, "mat": 0.2}, "influence": {"cat": 5.0}}
    assert aligned(monkeypatch, TEXT, prefix="the cat", **asked) == []
    assert aligned(monkeypatch, TEXT, prefix="the", **asked)[0] == "the a bat sat on no mat."


def unaligned(monkeypatch: pytest.MonkeyPatch, scores: dict[str, float], dependent: str) -> str:
    """The text with "a bat" at its best position, by the log-probabilities of texts.

    Words of `dependent` would not be there without the words of the source that they translate.
    """
    draft = draft_of(TEXT)
    words = TEXT.removesuffix(".").split()

    def attention_weights(*_: object) -> list[torch.Tensor]:
        weights_TS = torch.zeros(len(draft.hypothesis.ids), len(SOURCE))
        for number, word in enumerate(words[: len(SOURCE)]):
            weights_TS[:, number] = torch.tensor(by_word(TEXT, {word: 1.0}))
        return [weights_TS]

    def text_log_probs(
        _: object, request: Request, texts: Sequence[Sequence[int]]
    ) -> list[list[float]]:
        rows = []
        for ids in texts:
            row = [0.0] * len(ids)
            if [*ids] == draft.hypothesis.ids and request.source != SOURCE:
                row = [-value for value in by_word(TEXT, dict.fromkeys(dependent.split(), 9.0))]
            elif [*ids] != draft.hypothesis.ids:
                text = TOKENIZER.decode([token for token in ids if token != END])
                row[-1] = scores.get(text, -20.0) * (request.source != SOURCE)
            rows.append(row)
        return rows

    monkeypatch.setattr(term_ranking, "attention_weights", attention_weights)
    monkeypatch.setattr(term_ranking, "text_log_probs", text_log_probs)
    positions = draft.positions(Phrase(TOKENIZER, "a bat"))
    ranked = rank_unaligned(LOADED, draft, positions, [True] * 20)
    return shown(draft, ranked[0])


def test_of_unknown_meaning_it_replaces_a_word_only_where_that_is_clearly_the_best(
    monkeypatch,
) -> None:
    draft = draft_of(TEXT)
    positions = draft.positions(Phrase(TOKENIZER, "a bat"))
    inserted = shown(draft, rank_insertions(LOADED, draft, positions)[0])
    clear = {"the a bat sat on no mat.": -4.0, "the cat a bat on no mat.": -14.0}
    close = {"the a bat sat on no mat.": -4.0, "the cat a bat on no mat.": -9.0}
    assert unaligned(monkeypatch, clear, "cat sat") == "the a bat sat on no mat."
    assert unaligned(monkeypatch, close, "cat sat") == inserted
    assert unaligned(monkeypatch, clear, "sat on") == inserted  # "the" and "cat" may be anywhere
