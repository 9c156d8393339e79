"""Scores of a label head's outputs, by hand."""

import numpy as np
import pytest
import torch

from transformer.evaluation import label_scores
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
