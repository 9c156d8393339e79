"""Tags of words to targets of tokens, and from tokens' probabilities to spans of characters."""

import random
from itertools import product

import numpy as np
import pytest

from tokenizer import NORMALIZATIONS, TOKENIZERS, CorpusError, TrainingOptions, train_tokenizer
from transformer.errors import ConfigError, UnknownNameError
from transformer.inputs import IGNORE
from transformer.labels import (
    NO_TARGET,
    WORD_RULES,
    ScoredSpan,
    Span,
    TokenWindow,
    join_windows,
    scored_spans,
    shared_words,
    sort_labels,
    spans_inside_tokens,
    spans_of_words,
    token_targets,
    token_windows,
    tokens_of_words,
    word_probabilities,
    word_ranges,
    word_tags,
    write_tags,
)

PARTS = {
    "Zoe\u0308 Müller-Straße": "PER",
    " lives in ": None,
    "東京都": "LOC",
    " with ": None,
    "👩\u200d👧": "FAM",
    " ": None,
    "Ann\u0301 o'Neil": "PER",
    ", ﬁne ": None,
    "İzmir": "LOC",
    "  ": None,
    "\u1112\u1161\u11ab": "LOC",
    ".": None,
}
TEXT = "".join(PARTS)
SPANS = [
    Span(TEXT.index(part), TEXT.index(part) + len(part), label)
    for part, label in PARTS.items()
    if label
]


def test_tokens_of_words_worked_by_hand() -> None:
    """Tokens: `▁` of no character, `ab`, `c`, a space, `d e` of two words, and one of `f`."""
    offsets = [(0, 0), (0, 2), (2, 3), (3, 4), (4, 7), (9, 10)]
    words = [(0, 3), (4, 5), (6, 7), (8, 9), (9, 10)]
    tokens = tokens_of_words(offsets, words)
    assert tokens == [(1, 3), (4, 5), (4, 5), (5, 5), (5, 6)]
    labels = [10, 11, 12, 13, 14]
    assert token_targets(tokens, labels, 6) == [-100, 10, -100, -100, 11, 14]
    assert token_targets(tokens, labels, 6, rule="all") == [-100, 10, 10, -100, 11, 14]
    probs = np.arange(12).reshape(6, 2)
    first = word_probabilities(tokens, probs)
    assert first.tolist() == [[2, 3], [8, 9], [8, 9], [0, 0], [10, 11]]
    mean = word_probabilities(tokens, probs, rule="all")
    assert mean.tolist() == [[3, 4], [8, 9], [8, 9], [0, 0], [10, 11]]
    with pytest.raises(UnknownNameError, match=r"rule for the tokens of words.*'last'"):
        token_targets(tokens, labels, 6, rule="last")


def test_what_has_no_target_is_what_training_ignores() -> None:
    assert NO_TARGET == IGNORE


@pytest.mark.parametrize("rule", WORD_RULES)
@pytest.mark.parametrize(("kind", "normalization"), [*product(TOKENIZERS, NORMALIZATIONS)])
def test_targets_lead_back_to_the_same_spans(kind: str, normalization: str, rule: str) -> None:
    """A model that gives each token its target gives the spans of the original text."""
    lines = [TEXT, TEXT.lower(), "the cat sat on a mat"] * 3
    options = TrainingOptions(
        kind=kind, vocab_size=400, normalization=normalization, lowercase=True
    )
    trained = train_tokenizer(lines, options)
    ids, offsets = trained.encode_with_offsets(TEXT)
    words = word_ranges(TEXT)
    spans, widened, dropped = spans_of_words(SPANS, words)
    assert widened == dropped == 0
    tags = write_tags(spans, len(words), "bio")
    names = sort_labels({*tags})
    tokens = tokens_of_words(offsets, words)
    assert all(first < last for first, last in tokens)
    targets = token_targets(tokens, [names.index(tag) for tag in tags], len(ids), rule=rule)
    probs = np.full((len(ids), len(names)), 0.1 / (len(names) - 1))
    probs[:, 0] = 0.9  # what has no target is outside
    for row, target in zip(probs, targets, strict=True):
        if target != NO_TARGET:
            row[[0, target]] = row[[target, 0]] if target else row[[0, 0]]
    windows = token_windows(len(ids), 9, 4)
    joined = join_windows(windows, [probs[each.start : each.end] for each in windows])
    word_probs = word_probabilities(tokens, joined, rule=rule)
    found = scored_spans(word_probs, names, words, tokens, scheme="bio")
    assert [Span(*span[:3]) for span in found] == SPANS
    assert [span.score for span in found] == pytest.approx([0.9] * len(SPANS))
    assert word_tags(word_probs, names, tokens, scheme="bio") == tags
    assert spans_inside_tokens(spans, tokens) == 0


def test_windows_worked_by_hand() -> None:
    """Of tokens 2 and 3, which both windows have, 2 is farther from the first one's edge."""
    assert token_windows(6, 4, 2) == [TokenWindow(0, 4, 0, 3), TokenWindow(2, 6, 3, 6)]
    assert token_windows(5, 4, 2) == [TokenWindow(0, 4, 0, 3), TokenWindow(1, 5, 3, 5)]
    assert token_windows(4, 4, 2) == token_windows(4, 9, 0) == [TokenWindow(0, 4, 0, 4)]
    assert token_windows(5, 2, 0) == [
        TokenWindow(0, 2, 0, 2),
        TokenWindow(2, 4, 2, 4),
        TokenWindow(3, 5, 4, 5),
    ]
    assert token_windows(0, 4, 2) == [TokenWindow(0, 0, 0, 0)]
    for stride in (-1, 4):
        with pytest.raises(ConfigError, match=f"the stride is {stride}; it must be from 0"):
            token_windows(9, 4, stride)


def test_each_token_is_answered_by_the_window_that_shows_most_around_it() -> None:
    for length, size in product(range(1, 24), range(1, 10)):
        for stride in range(size):
            windows = token_windows(length, size, stride)
            assert [n for each in windows for n in range(each.first, each.last)] == [*range(length)]
            ends = [each.end for each in windows]
            assert all(
                later.start <= max(0, end - stride)
                for end, later in zip(ends, windows[1:], strict=False)
            )
            for window in windows:
                assert window.end - window.start == min(size, length)
                for token in range(window.first, window.last):
                    best = max(_context(each, token, length) for each in windows)
                    assert _context(window, token, length) == best


def _context(window: TokenWindow, token: int, length: int) -> float:
    """The tokens between a token and the nearer edge of a window; -1 outside."""
    if not window.start <= token < window.end:
        return -1
    before = token - window.start if window.start else float("inf")
    after = window.end - 1 - token if window.end < length else float("inf")
    return min(before, after)


def test_answers_of_windows_are_joined() -> None:
    rng = random.Random(0)
    for length in (1, 5, 12):
        truth = [rng.random() for _ in range(length)]
        windows = token_windows(length, 5, 3)
        answers = [
            [truth[n] if each.first <= n < each.last else -1 for n in range(each.start, each.end)]
            for each in windows
        ]
        assert join_windows(windows, answers) == truth


def test_spans_of_probabilities_worked_by_hand() -> None:
    """The fourth word has no token, and the fifth and sixth share one."""
    names = ["O", "B-X", "I-X", "B-Y"]
    words = [(0, 2), (3, 5), (6, 7), (7, 8), (9, 10), (10, 11)]
    tokens = [(0, 1), (1, 2), (2, 3), (3, 3), (3, 4), (3, 4)]
    y = [0, 0.2, 0, 0.8]
    probs = [[0.1, 0.2, 0.6, 0.1], [0, 0, 1, 0], [0.4, 0.3, 0.2, 0.1], [0] * 4, y, y]
    assert scored_spans(probs, names, words, tokens, scheme="bio") == [
        ScoredSpan(0, 5, "X", pytest.approx(0.8)),
        ScoredSpan(9, 11, "Y", 0.8),
    ]
    tags = [" ".join(word_tags(probs, names, tokens, scheme=each)) for each in ("bio", "bioes")]
    assert tags == ["B-X I-X O O B-Y I-Y", "B-X E-X O O B-Y E-Y"]
    assert word_tags(probs, names, tokens, scheme=None)[-2:] == ["B-Y", "B-Y"]
    assert word_tags([[0, 0]], ["B-X", "O"], [(0, 0)], scheme="bio") == ["O"]
    probs = [[0.7, 0.3], [0.5, 0.5], [0, 0]]
    plain = scored_spans(probs, ["NOUN", "VERB"], words[:3], [*tokens[:2], (2, 2)], scheme=None)
    assert plain == [ScoredSpan(0, 2, "NOUN", 0.7), ScoredSpan(3, 5, "NOUN", 0.5)]
    assert scored_spans([], names, [], [], scheme="bio") == []
    with pytest.raises(CorpusError, match="'NOUN' is no tag of spans"):
        scored_spans([[1.0]], ["NOUN"], words[:1], tokens[:1], scheme="bio")


def test_words_that_share_tokens_are_one() -> None:
    assert shared_words([(0, 1), (0, 2), (1, 3), (3, 3), (3, 4), (3, 4), (4, 5)]) == [
        (0, 3),
        (3, 4),
        (4, 6),
        (6, 7),
    ]
    assert shared_words([]) == []
    tokens = [(0, 1), (1, 2), (1, 2), (2, 3)]
    spans = [Span(0, 1, "X"), Span(1, 3, "X"), Span(2, 4, "X"), Span(0, 2, "X"), Span(3, 4, "X")]
    assert [spans_inside_tokens([span], tokens) for span in spans] == [0, 0, 1, 1, 0]
