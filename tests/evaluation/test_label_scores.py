"""Scores of a label head's outputs, by hand and by scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn import metrics

from transformer.evaluation import label_report, label_scores
from transformer.heads import LABEL_KINDS


def test_several_labels_are_given_from_one_half_on() -> None:
    outputs = np.array([[0.6, 0.4, 0.5], [0.1, 0.9, 0.2]])
    targets = np.array([[1, 0, 1], [0, 1, 1]], dtype=np.float32)
    scores = label_scores("multi", outputs, targets, ("a", "b", "c"))
    assert scores["accuracy"].value == 50
    assert scores["f1_micro"].value == pytest.approx(100 * 2 * 3 / (3 + 4))


def test_of_one_label_the_likeliest_counts() -> None:
    outputs = np.array([[0.4, 0.3, 0.3], [0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])
    scores = label_scores("single", outputs, np.array([0, 2, 1]), ("a", "b", "c"))
    assert scores["accuracy"].value == pytest.approx(200 / 3)


def test_numbers_are_correlated() -> None:
    outputs, targets = np.array([[1.0], [3.0], [2.0]]), np.array([[10.0], [30.0], [20.0]])
    scores = label_scores("number", outputs, targets, ("LABEL_0",))
    assert scores["pearson"].value == pytest.approx(100)


@pytest.mark.parametrize("kind", LABEL_KINDS)
def test_every_kind_has_examples_that_its_loss_takes(kind: str) -> None:
    targets = LABEL_KINDS[kind].example(3, 4)
    loss, plain = LABEL_KINDS[kind].loss(torch.zeros(3, 4), targets, 0.0)
    assert loss.isfinite() and torch.equal(loss, plain)


NAMES = ("a", "b", "c", "lacking")


def test_a_report_of_one_label_is_scikit_learns() -> None:
    """With a fourth label that the three outputs cannot give."""
    chance = np.random.default_rng(5)
    outputs = chance.dirichlet(np.ones(3), 200).astype(np.float32)
    targets = chance.integers(0, 4, 200)
    found = label_report("single", outputs, targets, NAMES)
    given = outputs.argmax(1)
    wanted = metrics.precision_recall_fscore_support(targets, given, zero_division=0)
    assert [[*row] for row in zip(*found.labels.values(), strict=True)] == [
        pytest.approx([*each]) for each in wanted
    ]
    assert [*found.labels] == [*NAMES]
    assert found.labels["lacking"].recall == 0
    assert found.confusion_LL is not None
    assert (found.confusion_LL == metrics.confusion_matrix(targets, given)).all()
    values = {name: score.value / 100 for name, score in found.scores.items()}
    assert values["accuracy"] == pytest.approx(metrics.accuracy_score(targets, given))
    for average in ("micro", "macro", "weighted"):
        f1 = metrics.f1_score(targets, given, average=average, zero_division=0)
        assert values[f"f1_{average}"] == pytest.approx(f1)
    assert values["matthews"] == pytest.approx(metrics.matthews_corrcoef(targets, given))
    right, sure = given == targets, outputs.max(1).astype(np.float64)
    bins = np.ceil(sure * 15)
    gaps = [abs(right[bins == n].sum() - sure[bins == n].sum()) for n in range(1, 16)]
    assert values["calibration_error"] == pytest.approx(sum(gaps) / 200)
    assert sum(each.texts for each in found.bins) == 200


def test_a_report_of_several_labels_is_scikit_learns() -> None:
    """With a fourth label that the three outputs cannot give."""
    chance = np.random.default_rng(6)
    outputs, targets = chance.random((90, 3)), chance.integers(0, 2, (90, 4))
    found = label_report("multi", outputs, targets, NAMES)
    given = np.pad(outputs >= 0.5, ((0, 0), (0, 1)))
    wanted = metrics.precision_recall_fscore_support(targets, given, zero_division=0)
    assert [[*row] for row in zip(*found.labels.values(), strict=True)] == [
        pytest.approx([*each]) for each in wanted
    ]
    accuracy = metrics.accuracy_score(targets, given)
    assert found.scores["accuracy"].value == pytest.approx(100 * accuracy)
    samples = metrics.f1_score(targets, given, average="samples", zero_division=0)
    assert found.scores["f1_samples"].value == pytest.approx(100 * samples)
    assert (found.confusion_LL, found.bins) == (None, ())
