"""What holds for every entry of every table: cache = no cache, causality, padding, gradients."""

import itertools

import pytest
import torch
from torch import Tensor

from tests.models import SHAPES, VOCABULARY, model_inputs, tiny_config, tiny_model
from transformer.attention import ATTENTION
from transformer.feedforward import FEEDFORWARDS
from transformer.heads import CLASSIFIER_LAYERS, HEADS, LABEL_KINDS
from transformer.heads.language import LinearHead
from transformer.initialization import INITIALIZATIONS, initialize
from transformer.layer_spec import LayerSpec, RotaryScaling
from transformer.masks import padded_positions
from transformer.model import Transformer
from transformer.norms import NORMS, QK_NORMS, RESIDUALS
from transformer.parameters import count_parameters
from transformer.pooling import POOLINGS
from transformer.positions import POSITIONS
from transformer.rotary_scaling import ROTARY_SCALINGS

SCALINGS = {
    "linear": RotaryScaling(kind="linear", factor=2.0),
    "llama3": RotaryScaling(kind="llama3", factor=2.0, original_context=8),
    "longrope": RotaryScaling(  # no text here is long: one that grows long keeps its earlier keys
        kind="longrope", factor=2.0, short_factors=(1.5, 3.0), long_factors=(9.0, 9.0)
    ),
}
OVER_VOCABULARY = [name for name, head in HEADS.items() if issubclass(head, LinearHead)]
EVERY = [
    *(dict(shape=shape, positions=p) for shape, p in itertools.product(SHAPES, POSITIONS)),
    *(
        dict(shape=shape, norm=norm, norm_placement=placement)
        for shape, norm, placement in itertools.product(SHAPES, NORMS, RESIDUALS)
    ),
]
OTHERS = [
    *(dict(feedforward=name) for name in FEEDFORWARDS),
    *(dict(head=name) for name in OVER_VOCABULARY),
    *(dict(head=name, tie_output=False) for name in OVER_VOCABULARY if name != "none"),
    dict(kv_heads=2),
    dict(kv_heads=1, positions="rotary"),
    dict(d_head=6, positions="rotary"),
    dict(bias=False, output_bias=True, final_norm=True, embedding_norm=True, token_types=2),
    dict(embedding_scale=False, output_scale=0.25, attention_scale=1.0),
    dict(share_embeddings=False, tie_output=False),
    dict(share_embeddings=False, source_vocab_size=2 * VOCABULARY),
    dict(bias=False, attention_bias=True),
    dict(attention_bias=False),
    dict(positions="learned", position_offset=2),
    *(dict(qk_norm=name, norm="rmsnorm", kv_heads=2, positions="rotary") for name in QK_NORMS),
    *(dict(rotary_scaling=scaling, positions="rotary") for scaling in SCALINGS.values()),
    dict(rotary_fraction=0.5, positions="rotary"),
    dict(attention_softcap=0.5, logit_softcap=2.0, kv_heads=1),
    dict(attention_softcap=0.5, positions="relative"),
    dict(attention_bias=True, attention_output_bias=False),
]
SLIDING = [
    dict(attention="sliding", window=window, global_tokens=tokens, positions=positions, **cap)
    for cap in ({}, {"attention_softcap": 0.5})
    for window, tokens in (((1, 0), (3, 0), (3, 2), (40, 1)) if not cap else ((3, 2),))
    for positions in ("rotary", "alibi", "learned")
]
SPARSE = [
    dict(attention=name, stride=stride, summary_tokens=summary, positions=positions, **fields)
    for name in ("strided", "fixed")
    for stride, summary in ((1, 1), (3, 2), (4, 4), (40, 8))
    for positions, fields in (
        ("rotary", {}),
        ("alibi", {"attention_softcap": 0.5}),
        ("learned", {"kv_heads": 2}),
    )
]
LINEAR = [
    dict(attention=name, positions=positions, **fields)
    for name in ("linear", "linear-decay", "performer")
    for positions, fields in (("rotary", {}), ("learned", {"kv_heads": 2}), ("none", {}))
]
LONGFORMER = [
    dict(attention="longformer", window=window, positions=positions, **fields)
    for window in (1, 3, 40)
    for positions, fields in (("rotary", {"kv_heads": 2}), ("alibi", {}), ("learned", {}))
]
SSRU = [
    dict(attention="ssru", positions=positions, **fields)
    for positions, fields in (
        ("sinusoidal", {}),
        ("rotary", {"kv_heads": 2}),
        ("alibi", {"bias": False}),
        ("none", {"attention_softcap": 0.5}),
        ("rotary", {"layers": (LayerSpec(), LayerSpec(attention="full"))}),
        ("relative", {"layers": (LayerSpec(attention="full"), LayerSpec(positions="none"))}),
    )
]
MIXED = [
    dict(positions=positions, layers=tuple(layers))
    for positions, *layers in (
        ("sinusoidal", LayerSpec(attention="sliding", window=3, global_tokens=1), LayerSpec()),
        ("rotary", LayerSpec(), LayerSpec(positions="none")),
        ("rotary", LayerSpec(rotary_base=500.0, attention="sliding", window=4), LayerSpec()),
        ("relative", LayerSpec(positions="none"), LayerSpec()),
        ("learned", LayerSpec(positions="alibi", attention="sliding", window=2), LayerSpec()),
        ("rotary", LayerSpec(attention="linear-decay"), LayerSpec()),
        ("alibi", LayerSpec(), LayerSpec(attention="linear", positions="none")),
        ("rotary", LayerSpec(attention="strided", stride=3), LayerSpec()),
        ("none", *(LayerSpec(attention="fixed", stride=s, summary_tokens=2) for s in (2, 5))),
    )
]
WITH_DECODER = [v for v in EVERY if v["shape"] != "encoder"]
WITH_DECODER += [dict(shape=SHAPES[2], **v) for v in LONGFORMER]
WITH_DECODER += [
    dict(shape=s, **v)
    for v in OTHERS + SLIDING + SPARSE + LINEAR + SSRU + MIXED
    for s in ("decoder", SHAPES[2])
]
ALL = EVERY + [
    dict(shape=s, **v) for v in OTHERS + SLIDING + SPARSE + LINEAR + MIXED for s in SHAPES
]
ALL += [dict(shape=s, **v) for v in LONGFORMER for s in ("encoder", SHAPES[2])]
ALL += [dict(shape=s, **v) for v in SSRU for s in ("decoder", SHAPES[2])]
OVER_LABELS = [
    *(dict(head="classification", classifier_layer=name) for name in CLASSIFIER_LAYERS),
    *(dict(head="classification", classifier_pooling=name) for name in POOLINGS),
    *(dict(head="classification", label_kind=name) for name in LABEL_KINDS),
    dict(head="classification", output_bias=True),
    dict(head="tagging", output_bias=True),
]
LABELLED = [dict(shape=shape, labels=3, **fields) for fields in OVER_LABELS for shape in SHAPES]


def name(variant: dict[str, object]) -> str:
    return "-".join("mixed" if key == "layers" else str(v) for key, v in variant.items())


def some_ids(rows: int, length: int) -> Tensor:
    return torch.randint(0, VOCABULARY, (rows, length))


def source_of(model: Transformer, rows: int) -> dict[str, Tensor]:
    if model.config.shape != "encoder-decoder":
        return {}
    lengths_B = torch.arange(5, 5 + rows)
    return {
        "source_BS": some_ids(rows, 4 + rows),
        "source_positions_BS": padded_positions(lengths_B, 4 + rows),
    }


def cached_source(source: dict[str, Tensor]) -> dict[str, object]:
    """The same for a cache, which is told lengths."""
    if not source:
        return {}
    lengths = (source["source_positions_BS"] >= 0).sum(dim=1).tolist()
    return {"source_BS": source["source_BS"], "source_lengths": lengths}


@pytest.mark.parametrize("variant", WITH_DECODER, ids=name)
@torch.no_grad()
def test_decoding_with_a_cache_equals_the_full_pass(variant: dict[str, object]) -> None:
    """Row 0 has a prompt of 14 tokens, row 1 of 11; both grow, beyond a block of slots."""
    model = tiny_model(**variant)
    ids_BT, lengths = some_ids(2, 20), torch.tensor([14, 11])
    source = source_of(model, 2)
    full_BTV = model(model_inputs(ids_BT, **source))
    cache = model.new_cache(2, 20, **cached_source(source))
    prompt_BT = padded_positions(lengths, 14)
    states_BTD = model.decode(ids_BT[:, :14], prompt_BT, cache)
    for row, length in enumerate(lengths):
        found = model.logits(states_BTD)[row, :length]
        torch.testing.assert_close(found, full_BTV[row, :length], atol=1e-5, rtol=0)
    for grown in range(6):
        places_B = lengths + grown
        new_B1 = ids_BT.gather(1, places_B[:, None])
        logits_B1V = model.logits(model.decode(new_B1, places_B[:, None], cache))
        wanted_BV = full_BTV[torch.arange(2), places_B]
        torch.testing.assert_close(logits_B1V[:, 0], wanted_BV, atol=1e-5, rtol=0)


@pytest.mark.parametrize("variant", WITH_DECODER, ids=name)
@torch.no_grad()
def test_a_reordered_cache_goes_on_as_the_chosen_rows(variant: dict[str, object]) -> None:
    model = tiny_model(**variant)
    ids_BT, source = some_ids(2, 6), source_of(model, 2)
    full_BTV = model(model_inputs(ids_BT, **source))
    cache = model.new_cache(2, 6, **cached_source(source))
    model.decode(ids_BT[:, :5], torch.arange(5).expand(2, 5), cache)
    rows_R = torch.tensor([1, 1, 0])
    cache.reorder(rows_R.tolist())
    last_R1 = torch.full((3, 1), 5)
    logits_R1V = model.logits(model.decode(ids_BT[rows_R, 5:], last_R1, cache))
    torch.testing.assert_close(logits_R1V[:, 0], full_BTV[rows_R, 5], atol=1e-5, rtol=0)


@pytest.mark.parametrize("variant", WITH_DECODER, ids=name)
@torch.no_grad()
def test_no_position_sees_the_future(variant: dict[str, object]) -> None:
    model = tiny_model(**variant)
    ids_BT, source = some_ids(1, 8), source_of(model, 1)
    before = model(model_inputs(ids_BT, **source))
    ids_BT[0, 5] = (ids_BT[0, 5] + 1) % VOCABULARY
    after = model(model_inputs(ids_BT, **source))
    torch.testing.assert_close(after[:, :5], before[:, :5], atol=1e-6, rtol=0)
    assert not torch.allclose(after[:, 5:], before[:, 5:], atol=1e-4)


@pytest.mark.parametrize("variant", ALL, ids=name)
@torch.no_grad()
def test_padding_changes_nothing(variant: dict[str, object]) -> None:
    """Each text alone equals itself among longer ones, on the source's side and its own."""
    model = tiny_model(**variant)
    ids_BT, lengths_B = some_ids(2, 9), torch.tensor([9, 5])
    source = source_of(model, 2)
    together = model(model_inputs(ids_BT, positions_BT=padded_positions(lengths_B, 9), **source))
    for row, length in enumerate(lengths_B):
        alone_of = {}
        if source:
            real = int((source["source_positions_BS"][row] >= 0).sum())
            alone_of = {"source_BS": source["source_BS"][row : row + 1, :real]}
        alone = model(model_inputs(ids_BT[row : row + 1, :length], **alone_of))
        torch.testing.assert_close(together[row : row + 1, :length], alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("variant", ALL + LABELLED, ids=name)
def test_gradient_reaches_every_weight_and_the_count_is_right(variant: dict[str, object]) -> None:
    model = tiny_model(**variant)
    source = source_of(model, 2)
    model(model_inputs(some_ids(2, 9), **source)).square().mean().backward()
    without = [n for n, weight in model.named_parameters() if weight.grad is None]
    assert without == []
    assert count_parameters(model.config) == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("scheme", INITIALIZATIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_initialization_fills_every_weight_the_same_way_for_a_seed(scheme: str, shape: str) -> None:
    config = tiny_config(shape, initialization=scheme, tie_output=False, output_bias=True)
    weights = []
    for seed in (1, 1, 2):
        model = Transformer(config)
        for weight in model.parameters():
            weight.data.fill_(float("nan"))
        initialize(model, seed=seed)
        weights.append(torch.cat([weight.flatten() for weight in model.parameters()]))
    assert weights[0].isfinite().all()
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_every_table_of_the_network_is_covered_here() -> None:
    kinds = {v["attention"] for v in SLIDING + SPARSE + LINEAR + LONGFORMER + SSRU}
    assert kinds | {"full"} == set(ATTENTION)
    assert set(SCALINGS) == set(ROTARY_SCALINGS)
    assert {v["head"] for v in OVER_LABELS} | {*OVER_VOCABULARY} == set(HEADS)
