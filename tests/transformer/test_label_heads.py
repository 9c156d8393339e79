"""Heads over labels: outputs by their equations, losses by torch's, and what they refuse."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.activations import ACT2FN

from tests.models import tiny_config, tiny_model
from transformer.batch_loss import batch_loss
from transformer.errors import ConfigError, UnknownNameError
from transformer.heads import CLASSIFIER_LAYERS, HEADS, LABEL_KINDS
from transformer.inputs import IGNORE, Batch, ModelInputs
from transformer.model import Transformer

IDS_BT = torch.tensor([[4, 5, 6, 7], [8, 9, 0, 0]])
POSITIONS_BT = torch.tensor([[0, 1, 2, 3], [0, 1, -1, -1]])
TARGETS = {
    "single": torch.tensor([2, 0]),
    "multi": torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]),
    "number": torch.tensor([[0.5, -1.0, 2.0], [3.0, 0.0, 0.25]]),
}


def head_of(**fields: object) -> nn.Module:
    head = HEADS[str(fields["head"])](tiny_config("encoder", labels=3, **fields))
    for weight in head.parameters():
        nn.init.normal_(weight)
    return head.eval()


def classifier(**fields: object) -> Transformer:
    return tiny_model("encoder", head="classification", labels=3, output_bias=True, **fields)


def batch(targets: Tensor, **fields: object) -> Batch:
    inputs = ModelInputs(IDS_BT, POSITIONS_BT)
    return Batch(inputs=inputs, targets=targets, num_targets=2, rows=None, **fields)


# In transformers, as the heads of published classes have them.
_PUBLISHED = {"gelu-tanh": "gelu_new", "gelu-sigmoid": "quick_gelu"}
_PUBLISHED |= {name: name for name in ("tanh", "relu", "gelu", "silu")}


@pytest.mark.parametrize("layer", CLASSIFIER_LAYERS)
def test_a_text_is_classified_by_its_first_token(layer: str) -> None:
    head = head_of(head="classification", classifier_layer=layer, output_bias=True)
    hidden_BTD = torch.randn(2, 4, 16)
    features_BD = hidden_BTD[:, 0]
    if layer != "none":
        activation = ACT2FN[_PUBLISHED[layer]]
        features_BD = activation(features_BD @ head.dense.weight.T + head.dense.bias)
    wanted_BL = features_BD @ head.weight.T + head.bias
    torch.testing.assert_close(head(hidden_BTD, torch.empty(0), POSITIONS_BT), wanted_BL)


def test_pooling_leaves_padding_out() -> None:
    hidden_BTD = torch.randn(2, 4, 16)
    for kind, wanted_D in (("mean", hidden_BTD[1, :2].mean(0)), ("last", hidden_BTD[1, 1])):
        head = head_of(head="classification", classifier_pooling=kind)
        found_L = head(hidden_BTD, torch.empty(0), POSITIONS_BT)[1]
        torch.testing.assert_close(found_L, head.weight @ wanted_D)


def test_each_token_is_tagged_by_itself() -> None:
    head, hidden_BTD = head_of(head="tagging", output_bias=True), torch.randn(2, 4, 16)
    wanted_BTL = hidden_BTD @ head.weight.T + head.bias
    torch.testing.assert_close(head(hidden_BTD, torch.empty(0)), wanted_BTL)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("kind", LABEL_KINDS)
def test_losses_are_sums_over_targets(kind: str, smoothing: float) -> None:
    model, targets = classifier(label_kind=kind), TARGETS[kind]
    outputs_BL = model(ModelInputs(IDS_BT, POSITIONS_BT))
    plain, smoothed = {
        "single": lambda: [
            F.cross_entropy(outputs_BL, targets, reduction="sum", label_smoothing=s)
            for s in (0.0, smoothing)
        ],
        "multi": lambda: [
            F.binary_cross_entropy(outputs_BL.sigmoid(), t, reduction="sum")
            for t in (targets, targets * (1 - smoothing) + smoothing / 2)
        ],
        "number": lambda: [((outputs_BL - targets) ** 2).sum()] * 2,
    }[kind]()
    loss, found = batch_loss(model, batch(targets), smoothing=smoothing)
    torch.testing.assert_close(loss, smoothed)
    torch.testing.assert_close(found, plain)
    assert loss.requires_grad
    assert not found.requires_grad


def test_answers_are_probabilities_or_numbers() -> None:
    outputs_BL = torch.tensor([[0.0, 1.0, -1.0]])
    answers = {name: kind.answers(outputs_BL) for name, kind in LABEL_KINDS.items()}
    torch.testing.assert_close(answers["single"], outputs_BL.exp() / outputs_BL.exp().sum())
    torch.testing.assert_close(answers["multi"], 1 / (1 + (-outputs_BL).exp()))
    assert torch.equal(answers["number"], outputs_BL)


def test_labels_of_tokens_count_where_there_are_some() -> None:
    """The second subword of a word, special tokens and padding have no label."""
    model = tiny_model("encoder", head="tagging", labels=3, output_bias=True)
    targets_BT = torch.tensor([[1, IGNORE, 0, 2], [2, IGNORE, IGNORE, IGNORE]])
    predicted_N = torch.tensor([0, 2, 3, 4])
    outputs_BTL = model(ModelInputs(IDS_BT, POSITIONS_BT))
    wanted = F.cross_entropy(outputs_BTL.flatten(0, 1), targets_BT.flatten(), reduction="sum")
    _, found = batch_loss(model, batch(targets_BT, predicted_N=predicted_N))
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"head": "classification"}, "needs labels"),
        ({"head": "tagging"}, "needs labels"),
        ({"head": "tagging", "labels": 2, "label_kind": "multi"}, "label_kind is multi"),
        ({"head": "classification", "labels": 2, "tie_output": False}, "tie_output must be true"),
        ({"head": "tagging", "labels": 2, "output_scale": 0.5}, "output_scale 1"),
        ({"labels": 2}, "labels"),
    ],
)
def test_heads_refuse_what_they_cannot_be(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tiny_model("encoder", **fields)


@pytest.mark.parametrize("field", ["label_kind", "classifier_pooling", "classifier_layer"])
def test_unknown_variants_are_told(field: str) -> None:
    with pytest.raises(UnknownNameError, match="nothing"):
        classifier(**{field: "nothing"})


@pytest.mark.parametrize("name", ["classification", "tagging"])
def test_features_are_dropped_in_training_alone(name: str) -> None:
    head = head_of(head=name, dropout=0.5)
    nn.init.ones_(head.weight)
    ones_BTD = torch.ones(500, 1, 16)
    assert (head(ones_BTD, torch.empty(0)) == 16).all()
    dropped = head.train()(ones_BTD, torch.empty(0))
    assert 15 < dropped.mean() < 17
    assert dropped.std() > 3  # 2 · √(16 / 4) = 4
