"""Which checkpoint is the best where the metric says little: BLEU, chrF, the loss, and ties."""

import random
from itertools import permutations

import pytest

from transformer.evaluation import Score, translation_scores
from transformer.training.objectives import OBJECTIVES
from transformer.training.progress import Progress
from transformer.training.selection import describe_metric, fallback_notice, selection_key

WORDS = ["ein", "hund", "läuft", "über", "die", "wiese", "und", "bellt", "sehr", "laut", "heute"]


def scores(bleu: float | None, chrf: float | None) -> dict[str, Score]:
    """None: a score that carries no information."""
    return {
        name: Score(name, value or 0.0, "", "", informative=value is not None)
        for name, value in (("bleu", bleu), ("chrf", chrf))
    }


# From worse to better: (BLEU, chrF, loss).
ORDER = [
    (None, None, 6.5), (None, None, 4.4), (None, 20.0, 4.4), (None, 20.0, 4.3), (None, 30.0, 9.0),
    (3.0, 10.0, 5.0), (3.0, 9.0, 4.9), (3.004, 9.0, 4.8), (3.1, None, 9.0),
]  # fmt: skip


def test_validations_have_a_total_order() -> None:
    keys = [selection_key("bleu", loss, scores(bleu, chrf))[1] for bleu, chrf, loss in ORDER]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


def test_the_best_does_not_depend_on_the_order_in_time() -> None:
    for rows in permutations(ORDER[1:7]):
        progress = Progress()
        for step, (bleu, chrf, loss) in enumerate(rows, 1):
            progress.step = step
            progress.record_validation(selection_key("bleu", loss, scores(bleu, chrf))[1])
        assert progress.best_step == rows.index(ORDER[6]) + 1


@pytest.mark.parametrize(
    ("metric", "bleu", "chrf", "decides"),
    [
        ("bleu", 9.0, 9.0, "bleu"), ("bleu", None, 9.0, "chrf"), ("bleu", None, None, "loss"),
        ("chrf", 9.0, 9.0, "chrf"), ("chrf", 9.0, None, "loss"), ("loss", 9.0, 9.0, "loss"),
    ],
)  # fmt: skip
def test_the_first_metric_that_says_something_decides(metric, bleu, chrf, decides) -> None:
    assert selection_key(metric, 1.0, scores(bleu, chrf))[0] == decides


def test_falling_losses_are_improvements_while_scores_say_nothing() -> None:
    progress = Progress()
    for step in range(1, 9):
        progress.step = step
        assert progress.record_validation(selection_key("bleu", 9 - step, scores(None, None))[1])
    assert not progress.out_of_patience(1)


def test_the_notice_names_who_decides() -> None:
    both = ("bleu", "chrf")
    assert "BLEU carries no information yet" in fallback_notice("bleu", "chrf", both)
    assert fallback_notice("bleu", "chrf", both).endswith("chrF decides which checkpoint is best")
    assert "BLEU and chrF carry no" in fallback_notice("bleu", "loss", both)


def test_accuracy_gives_way_without_a_word_where_labels_are_numbers() -> None:
    numbers = {"pearson": Score("pearson", 40.0, "", "")}
    assert selection_key("accuracy", 1.0, numbers)[0] == "pearson"
    assert fallback_notice("accuracy", "pearson", numbers) is None
    silent = {"accuracy": Score("accuracy", 60.0, "", "", informative=False)}
    assert selection_key("accuracy", 1.0, silent)[0] == "loss"
    told = fallback_notice("accuracy", "loss", silent)
    assert told.startswith("accuracy carries no information yet (all texts get the same answer)")


def corpus(lines: int, words: int = 9) -> list[str]:
    chance = random.Random(1)
    return [" ".join(chance.choices(WORDS, k=words)) for _ in range(lines)]


def judged(hypotheses: list[str], references: list[str]) -> dict[str, bool]:
    found = translation_scores(hypotheses, references, compare_with_chance=True)
    return {name: score.informative for name, score in found.items()}


def test_scores_that_say_something() -> None:
    references = corpus(60)
    half = [line if n % 2 else corpus(60)[0] for n, line in enumerate(references)]
    assert judged(references, references) == {"bleu": True, "chrf": True}
    assert judged(half, references) == {"bleu": True, "chrf": True}


@pytest.mark.parametrize(
    "hypotheses",
    [
        [""] * 60,
        ["ein hund läuft über die wiese und bellt"] * 60,  # the same for every source
        corpus(120)[60:],  # text of the language that has nothing to do with the sources
    ],
)
def test_scores_by_chance_say_nothing(hypotheses) -> None:
    assert judged(hypotheses, corpus(60)) == {"bleu": False, "chrf": False}


def test_bleu_of_single_words_says_nothing_and_chrf_does() -> None:
    references = [line.replace(" ", "") for line in corpus(60, words=2)]
    assert judged(references, references) == {"bleu": False, "chrf": True}


def test_bleu_of_a_few_lucky_phrases_says_nothing() -> None:
    """One right line of ten has six matches of four words."""
    references = corpus(10)
    lucky = [references[0], *corpus(20)[11:]]
    assert translation_scores(lucky, references)["bleu"].value > 5
    assert not judged(lucky, references)["bleu"]


def test_a_single_line_is_no_ground_for_a_choice() -> None:
    assert judged(["ein hund"], ["ein hund"]) == {"bleu": False, "chrf": False}


def test_a_metric_is_told_with_what_decides_where_the_text_has_no_score_of_it() -> None:
    told = {
        name: {metric: describe_metric(metric, objective.metrics) for metric in objective.metrics}
        for name, objective in OBJECTIVES.items()
    }
    others = {
        (name, metric): text
        for name, texts in told.items()
        for metric, text in texts.items()
        if text != metric
    }
    assert told["masked-lm"] == {"loss": "loss", "accuracy": "accuracy"}
    assert others == {
        ("classification", "accuracy"): "accuracy, or Pearson's correlation of numbers",
        ("tagging", "span_f1"): "span_f1, or accuracy of tags that mark no spans",
    }
