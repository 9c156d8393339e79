"""Scores of labels, numbers and spans: by hand, and scikit-learn's, scipy's and seqeval's."""

import random
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import scipy.stats
import seqeval.metrics
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES
from sklearn import metrics
from sklearn.calibration import calibration_curve

from tests.labels.test_schemes import random_tags
from tokenizer import CorpusError
from transformer.evaluation import (
    AveragedScores,
    CalibrationBin,
    average_ranks,
    calibration_bins,
    calibration_score,
    classification_report,
    expected_calibration_error,
    multilabel_report,
    regression_report,
    span_report,
)

NAMES = [*"abcdef"]
AVERAGES = ["micro", "macro", "weighted"]
BEGINNINGS = {None: "I-Z", "bio": "B-Z", "iob1": "I-Z", "bioes": "S-Z", "bilou": "U-Z"}
SEQEVALS = {"bio": IOB2, "bioes": IOBES, "bilou": BILOU, "iob1": IOB1}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """scikit-learn and seqeval warn of what is undefined; scipy of constants."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def random_labels() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    for labels in (1, 2, 3, 6):  # of one label; of some that nothing has or is predicted to be
        for texts in (1, 2, 5, 40):
            truth, given = rng.integers(0, labels, (2, texts))
            yield truth, given
            yield truth, np.full(texts, given[0])
            yield truth, truth


def as_rows(found: AveragedScores) -> list[tuple[float, ...]]:
    return [tuple(getattr(found, average)) for average in AVERAGES]


def test_f1_worked_by_hand() -> None:
    """Of a: 1 of 2 right, 1 of 1 found. Of b: 1 of 1 right, 1 of 2 found. Of c: never predicted."""
    found = classification_report([0, 1, 1, 2], [0, 0, 1, 1], ["a", "b", "c"])
    assert found.confusion_LL.tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 0]]
    assert {n: s[:3] for n, s in found.scores.labels.items()} == {
        "a": pytest.approx((1 / 2, 1, 2 / 3)),
        "b": pytest.approx((1 / 2, 1 / 2, 1 / 2)),
        "c": (0, 0, 0),
    }
    assert found.scores.macro.f1 == pytest.approx((2 / 3 + 1 / 2) / 3)
    assert found.scores.weighted.f1 == pytest.approx((2 / 3 + 2 * 1 / 2) / 4)
    assert found.scores.micro.f1 == found.accuracy == 0.5
    named = found.by_name()
    assert named["accuracy"][:4] == ("accuracy", 50.0, "texts:4", "2 of 4 texts")
    assert named["f1_macro"].details.endswith("; 3 labels; never predicted: c")
    assert named["f1_macro"].signature == "average:macro|labels:observed|undefined:0"


def test_scores_of_one_label_each_are_scikit_learns() -> None:
    for truth, given in random_labels():
        found = classification_report([*truth], [*given], NAMES)
        theirs = metrics.precision_recall_fscore_support
        by_label = zip(*theirs(truth, given), strict=True)
        assert [tuple(each) for each in found.scores.labels.values()] == [
            pytest.approx(each) for each in by_label
        ]
        for average, ours in zip(AVERAGES, as_rows(found.scores), strict=True):
            assert ours[:3] == pytest.approx(theirs(truth, given, average=average)[:3]), average
        matrix = metrics.confusion_matrix(truth, given, labels=range(len(NAMES)))
        assert found.confusion_LL.tolist() == matrix.tolist()
        assert found.accuracy == pytest.approx(metrics.accuracy_score(truth, given))
        matthews = metrics.matthews_corrcoef(truth, given)
        assert found.matthews_correlation == pytest.approx(matthews)
        informative = {score.informative for score in found.by_name().values()}
        assert informative == {len({*given}) > 1}


@pytest.mark.parametrize("texts", [1, 2, 30])
@pytest.mark.parametrize("density", [0, 0.3, 1])
def test_scores_of_several_labels_are_scikit_learns(texts: int, density: float) -> None:
    rng = np.random.default_rng(1)
    truth, given = rng.random((2, texts, len(NAMES))) < [[[0.4]], [[density]]]
    truth[0], given[0] = False, False  # rows without labels
    given[:, 0], truth[:, 1] = (
        False,
        False,
    )  # a label that is never predicted, one that is not there
    found = multilabel_report(truth.astype(int), given, NAMES)
    theirs = metrics.precision_recall_fscore_support
    for average, ours in zip(AVERAGES, as_rows(found.scores), strict=True):
        assert ours[:3] == pytest.approx(theirs(truth, given, average=average)[:3]), average
    assert [tuple(each) for each in found.scores.labels.values()] == [
        pytest.approx(each) for each in zip(*theirs(truth, given), strict=True)
    ]
    assert found.samples_f1 == pytest.approx(metrics.f1_score(truth, given, average="samples"))
    assert found.subset_accuracy == pytest.approx(metrics.accuracy_score(truth, given))
    named = found.by_name()
    assert named["f1_samples"].value == pytest.approx(100 * found.samples_f1)
    assert named["accuracy"].signature == f"texts:{texts}|subset"
    assert named["accuracy"].informative == (not (given == given[0]).all())


def test_calibration_worked_by_hand() -> None:
    """Bins of a fifth: 0.6 belongs to the third. Above it: 0.7 right, 0.8 wrong. 1: right."""
    probs = [[0.6, 0.4], [0.3, 0.7], [0.8, 0.2], [0, 1], [0.4, 0.6]]
    bins = calibration_bins(probs, [0, 1, 1, 1, 0], bins=5)
    assert bins == [
        CalibrationBin(pytest.approx(0.6), 0.5, 2),
        CalibrationBin(pytest.approx(0.75), 0.5, 2),
        CalibrationBin(1, 1, 1),
    ]
    error = (2 * 0.1 + 2 * 0.25 + 0) / 5
    assert expected_calibration_error(bins) == pytest.approx(error)
    score = calibration_score(probs, [0, 1, 1, 1, 0], bins=5)
    assert score.value == pytest.approx(100 * error)
    assert score.signature == "bins:5|confidence:largest"
    assert score.details == "mean confidence 74.00, accuracy 60.00"


def test_calibration_bins_are_scikit_learns() -> None:
    rng = np.random.default_rng(2)
    for texts in (1, 7, 400):
        logits = rng.normal(size=(texts, 3)) * 2
        probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        probs[0] = [1, 0, 0]
        truth = rng.integers(0, 3, texts)
        is_right = probs.argmax(1) == truth
        bins = calibration_bins(probs, [*truth])
        accuracies, confidences = calibration_curve(is_right, probs.max(1), n_bins=15)
        assert [each.accuracy for each in bins] == pytest.approx(accuracies)
        assert [each.confidence for each in bins] == pytest.approx(confidences)
        assert sum(each.texts for each in bins) == texts


def test_correlations_worked_by_hand() -> None:
    assert average_ranks([2, 1, 2, 5]).tolist() == [2.5, 1, 2.5, 4]
    found = regression_report([1, 2, 3], [2, 4, 9])
    assert found.pearson == pytest.approx(7 / np.sqrt(2 * 26))
    assert found.spearman == pytest.approx(1)
    assert found.mean_squared_error == pytest.approx((1 + 4 + 36) / 3)
    named = found.by_name()
    assert named["pearson"].value == pytest.approx(100 * found.pearson)
    assert named["spearman"].signature == "ties:average|undefined:0"


def test_scores_of_numbers_are_scipys_and_scikit_learns() -> None:
    rng = np.random.default_rng(3)
    for texts in (2, 3, 50):
        for scale in (1e-200, 1, 1e150):
            truth = rng.integers(0, 4, texts) + 0.5  # with ties
            given = scale * (truth + rng.integers(0, 3, texts))
            truth[0], given[0] = -1, -scale
            found = regression_report([*truth], [*given])
            assert found.pearson == pytest.approx(scipy.stats.pearsonr(truth, given / scale)[0])
            assert found.spearman == pytest.approx(scipy.stats.spearmanr(truth, given)[0])
            wanted = metrics.mean_squared_error(truth, given)
            assert found.mean_squared_error == pytest.approx(wanted)
            assert not found.constant


def test_constant_numbers_have_no_correlation_and_it_is_told() -> None:
    for truth, given in [([1, 2], [3, 3]), ([0.1] * 3, [1, 2, 3]), ([7], [8])]:
        found = regression_report(truth, given)
        assert (found.pearson, found.spearman, found.constant) == (0, 0, True)
        score = found.by_name()["pearson"]
        assert not score.informative
        assert score.details.endswith("undefined, for a side is constant")


def test_spans_worked_by_hand() -> None:
    """Of two spans one is right; the other ends a word too early, and one has another label."""
    truth = [["B-PER", "I-PER", "O", "B-LOC"], ["O"]]
    given = [["B-PER", "O", "O", "B-LOC"], ["I-PER"]]
    found = span_report(truth, given)
    assert found.scores.labels["PER"] == (0, 0, 0, 1)
    assert found.scores.labels["LOC"] == (1, 1, 1, 1)
    assert found.scores.micro == (1 / 3, 1 / 2, 2 / 5, 2)
    assert found.scores.macro.f1 == 0.5
    assert (found.accuracy, found.words) == (3 / 5, 5)
    assert span_report(truth, given, scheme="bio").scores.micro.f1 == 0.5
    named = found.by_name()
    assert named["span_f1"][1:4] == (
        pytest.approx(40),
        "average:micro|spans:default|undefined:0",
        "precision 33.33, recall 50.00; 2 spans",
    )
    strict = span_report(truth, given, scheme="bio").by_name()
    assert "spans:strict:bio" in strict["span_f1"].signature


@pytest.mark.parametrize("scheme", [None, *SEQEVALS])
def test_scores_of_tags_are_seqevals(scheme: str | None) -> None:
    rng = random.Random(4)
    letters = {None: "BIES", "bioes": "BIES", "bilou": "BILU"}.get(scheme, "BI")
    mode = {} if scheme is None else {"mode": "strict", "scheme": SEQEVALS[scheme]}
    for sentences in (1, 2, 20):
        for _ in range(10):
            lengths = [rng.randrange(1, 12) for _ in range(sentences)]
            truth, given = ([random_tags(rng, letters, n) for n in lengths] for _ in range(2))
            given = [  # of which half are right
                [rng.choice(pair) for pair in zip(*tags, strict=True)]
                for tags in zip(truth, given, strict=True)
            ]
            truth[0][:1] = given[0][:1] = [BEGINNINGS[scheme]]
            truth[0][1:2] = given[0][1:2] = ["O"] * (lengths[0] > 1)
            found = span_report(truth, given, scheme=scheme)
            theirs = seqeval.metrics.classification_report(truth, given, output_dict=True, **mode)
            rows = {name: tuple(map(float, row.values())) for name, row in theirs.items()}
            ours = dict(found.scores.labels)
            ours |= {f"{name} avg": getattr(found.scores, name) for name in AVERAGES}
            assert ours == {name: pytest.approx(row) for name, row in rows.items()}
            assert found.accuracy == pytest.approx(seqeval.metrics.accuracy_score(truth, given))


def test_without_spans_f1_is_zero() -> None:
    found = span_report([["O", "O"]], [["O", "O"]])
    assert (found.scores.micro, found.accuracy) == ((0, 0, 0, 0), 1)
    assert not found.by_name()["span_f1"].informative
    assert found.scores.macro == found.scores.weighted == (0, 0, 0, 0)


def test_without_texts_there_is_no_score() -> None:
    empty = np.zeros((0, 2))
    for score in (
        lambda: classification_report([], [], NAMES),
        lambda: multilabel_report(empty, empty, ["a", "b"]),
        lambda: calibration_bins(empty, []),
        lambda: regression_report([], []),
        lambda: span_report([[]], [[]]),
    ):
        with pytest.raises(CorpusError, match="to compare: there is not a"):
            score()
    with pytest.raises(ValueError, match="1 predictions for 2 references"):
        classification_report([0, 1], [0], NAMES)
