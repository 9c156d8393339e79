"""Windows and global tokens: attention equals its definition, and nothing else has an effect."""

import pytest
import torch
from torch import Tensor

from tests.models import VOCABULARY, tiny_config, tiny_model
from tests.virtual_device import virtual_device
from transformer.attention import GlobalTokens, Tokens, banded
from transformer.attention.longformer import GlobalSelfAttention, LongformerMixing
from transformer.errors import ConfigError
from transformer.inputs import ModelInputs
from transformer.layer_spec import LayerSpec
from transformer.layers import CrossAttentionContext, Stack
from transformer.masks import padded_positions
from transformer.model import Transformer

BLOCK = banded.MIN_BLOCK
# Rows of global tokens: in other places, more or fewer of them, next to each other, far apart.
GLOBALS = {
    "one": [[0], [0]],
    "some": [[0, 3, 4], [4, -1, -1]],
    "unordered": [[-1, 2, 0, 1], [1, -1, 3, 2]],
    "last": [[-1, -2], [-1, -1]],  # -2: the last of the row
    "none": [[-1], [-1]],
    "empty": [[], []],
}
# A window, a length and the least block: around the length from which there are blocks, with
# windows below and above their least size.
SIZES = [
    *((3, length, 8) for length in (1, 5, 16, 17, 24)),
    *((13, length, 8) for length in (13, 14, 26, 27)),
    (1, 23, 8),
    (9, 2 * BLOCK + 1, BLOCK),
]


def global_tokens(name: str, length: int) -> Tensor:
    rows = [
        [length - 1 if each == -2 else each if each < length else -1 for each in row]
        for row in GLOBALS[name]
    ]
    return torch.tensor(rows, dtype=torch.long).view(2, -1)


def heads_of(linear: torch.nn.Linear, x_TD: Tensor, heads: int) -> list[list[Tensor]]:
    """Queries, keys and values of each head, (T, K)."""
    rows_TR = x_TD @ linear.weight.double().T + linear.bias.double()
    return [list(part.chunk(heads, dim=1)) for part in rows_TR.chunk(3, dim=1)]


def definition(attention: GlobalSelfAttention, x_TD: Tensor, is_global: list[int]) -> Tensor:
    """The attention of one unpadded text, by loops in float64."""
    heads, window, length = attention.config.heads, attention.config.window, len(x_TD)
    q, k, v = heads_of(attention.qkv, x_TD, heads)
    q_g, k_g, v_g = heads_of(attention.global_qkv, x_TD, heads)
    scale = attention.config.head_width**-0.5
    rows = []
    for i in range(length):
        if i in is_global:
            seen, queries, keys, values = list(range(length)), q_g, k_g, v_g
        else:
            near = range(max(0, i - window + 1), min(length, i + window))
            seen, queries, keys, values = sorted({*near, *is_global}), q, k, v
        mixed = []
        for head in range(heads):
            scores = torch.stack([scale * (queries[head][i] @ keys[head][j]) for j in seen])
            mixed.append(scores.softmax(dim=0) @ values[head][seen])
        rows.append(torch.cat(mixed))
    return torch.stack(rows) @ attention.out.weight.double().T + attention.out.bias.double()


def network(**changes: object) -> Transformer:
    fields = {"attention": "longformer", "window": 3, "positions": "none", "encoder_layers": 1}
    return tiny_model("encoder", **{**fields, **changes})


def attend(
    model: Transformer, x_BTD: Tensor, positions_BT: Tensor | None, given: Tensor | None, **more
) -> Tensor:
    """What the first layer's attention makes of its inputs."""
    assert isinstance(model.encoder, Stack)
    tokens = Tokens.of(x_BTD, positions_BT, None, given)
    (mixing, *_) = model.encoder.groups.mixings(tokens, None, None)
    y_BTD: Tensor = model.encoder.layers[0].attention(x_BTD, mixing)
    return y_BTD


@pytest.mark.parametrize("name", GLOBALS)
@pytest.mark.parametrize(("window", "length", "block"), SIZES)
def test_values_and_gradients_are_those_of_the_definition(
    monkeypatch, window: int, length: int, block: int, name: str
) -> None:
    """The second row is shorter by two, and so padded."""
    monkeypatch.setattr(banded, "MIN_BLOCK", block)
    model = network(window=window, heads=2)
    attention, parameters = model.encoder.layers[0].attention, list(model.parameters())
    lengths = [length, max(1, length - 2)]
    x_BTD = torch.randn(2, length, 16, requires_grad=True)
    given = global_tokens(name, length)
    positions_BT = padded_positions(torch.tensor(lengths), length)
    found = attend(model, x_BTD, positions_BT, given)
    rows, weights = [], torch.randn(2, length, 16)
    for row, real in enumerate(lengths):
        chosen = [each for each in given[row].tolist() if 0 <= each < real]
        wanted = definition(attention, x_BTD[row, :real].double(), chosen)
        torch.testing.assert_close(found[row, :real].double(), wanted, atol=1e-5, rtol=1e-5)
        rows.append((wanted * weights[row, :real]).sum())
    hidden = (positions_BT < 0)[..., None]
    ours = (found * weights).masked_fill(hidden, 0.0).sum()
    options = {"allow_unused": True, "materialize_grads": True}
    theirs = torch.autograd.grad(sum(rows), [x_BTD, *parameters], **options)
    for one, two in zip(
        torch.autograd.grad(ours, [x_BTD, *parameters], **options), theirs, strict=True
    ):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-4)


def sees(i: int, j: int, *, window: int, chosen: list[int]) -> bool:
    return abs(i - j) < window or i in chosen or j in chosen


@pytest.mark.parametrize("block", [1, 4, BLOCK], ids=["by window", "of 4", "dense"])
@pytest.mark.parametrize("chosen", [[0], [0, 7, 8], [13], []], ids=str)
@torch.no_grad()
def test_nothing_outside_has_an_effect_and_all_inside_has(monkeypatch, block, chosen) -> None:
    """Bit for bit: one token is changed after the other, that of padding too."""
    monkeypatch.setattr(banded, "MIN_BLOCK", block)
    model, length = network(window=3), 14
    positions_BT = padded_positions(torch.tensor([length]), length + 2)
    given = torch.tensor([[*chosen, -1]])
    x_BTD = torch.randn(1, length + 2, 16)
    before = attend(model, x_BTD, positions_BT, given)[0]
    for place in range(length + 2):
        changed = x_BTD.clone()
        changed[0, place] = torch.randn(16)
        after = attend(model, changed, positions_BT, given)[0]
        for i in range(length):
            wanted = place < length and sees(i, place, window=3, chosen=chosen)
            assert (not torch.equal(after[i], before[i])) == wanted, (i, place)


@torch.no_grad()
def test_the_first_token_is_global_where_none_is_named() -> None:
    model, ids_BT = tiny_model("encoder", attention="longformer", window=2), torch.arange(9)[None]
    found = model(ModelInputs(ids_BT))
    assert torch.equal(found, model(ModelInputs(ids_BT, global_tokens_BG=torch.tensor([[0]]))))
    none = model(ModelInputs(ids_BT, global_tokens_BG=torch.tensor([[-1]])))
    assert torch.equal(none, model(ModelInputs(ids_BT, global_tokens_BG=torch.zeros(1, 0).long())))
    assert not torch.allclose(found, none, atol=1e-3)


@pytest.mark.parametrize("long", [False, True])
@torch.no_grad()
def test_the_order_of_global_tokens_and_further_padding_change_nothing(long: bool) -> None:
    length = 2 * BLOCK + 5 if long else 9
    model = tiny_model("encoder", attention="longformer", window=2, max_positions=length)
    ids_BT = torch.randint(0, VOCABULARY, (1, length))
    given = [model(ModelInputs(ids_BT, global_tokens_BG=torch.tensor(each))) for each in (
        [[0, 5, 2]], [[5, 2, -1, 0, -1]],
    )]  # fmt: skip
    torch.testing.assert_close(given[0], given[1], atol=1e-5, rtol=0)


@pytest.mark.parametrize("positions", ["none", "rotary", "alibi", "relative", "learned"])
@pytest.mark.parametrize("fields", [{}, {"kv_heads": 2, "attention_softcap": 0.5}], ids=str)
@torch.no_grad()
def test_blocks_give_what_the_dense_mask_gives(monkeypatch, positions: str, fields) -> None:
    model = tiny_model("encoder", attention="longformer", window=4, positions=positions, **fields)
    ids_BT, given = torch.randint(0, VOCABULARY, (2, 30)), torch.tensor([[0, 9], [17, -1]])
    for positions_BT in (None, padded_positions(torch.tensor([30, 21]), 30)):
        inputs = ModelInputs(ids_BT, positions_BT, global_tokens_BG=given)
        dense = model.hidden(inputs)
        with monkeypatch.context() as patched:
            patched.setattr(banded, "MIN_BLOCK", 6)
            in_blocks = model.hidden(inputs)
        real = torch.ones(2, 30, dtype=torch.bool) if positions_BT is None else positions_BT >= 0
        torch.testing.assert_close(in_blocks[real], dense[real], atol=1e-5, rtol=0)


@pytest.mark.parametrize("positions", ["none", "rotary", "alibi", "relative", "learned"])
@pytest.mark.parametrize("fields", [{}, {"kv_heads": 2, "attention_softcap": 0.1}], ids=str)
@torch.no_grad()
def test_with_equal_maps_and_a_window_over_all_it_is_full_attention(positions, fields) -> None:
    fields = {"positions": positions, "max_positions": 40, **fields}
    model = tiny_model("encoder", attention="longformer", window=40, **fields)
    for layer in model.encoder.layers:
        layer.attention.global_qkv.load_state_dict(layer.attention.qkv.state_dict())
    full = Transformer(tiny_config("encoder", **fields)).eval()
    full.load_state_dict({n: w for n, w in model.state_dict().items() if "global" not in n})
    ids_BT = torch.randint(0, VOCABULARY, (2, 30))
    inputs = ModelInputs(ids_BT, padded_positions(torch.tensor([30, 30]), 30))
    given = inputs._replace(global_tokens_BG=torch.tensor([[0, 9], [17, -1]]))
    torch.testing.assert_close(model(given), full(inputs), atol=1e-5, rtol=0)


def test_a_long_text_has_scores_of_its_blocks_and_global_tokens_alone() -> None:
    model, length = network(window=9), 3 * BLOCK
    tokens = Tokens.of(torch.randn(2, length, 16), None, None, torch.tensor([[0, 1], [5, -1]]))
    (mixing,) = model.encoder.groups.mixings(tokens, None, None)
    assert isinstance(mixing, LongformerMixing)
    mask_NhCS = mixing.local.attend.keywords["band_mask"].mask_NhCS
    assert mask_NhCS.shape == (2 * 3, 1, BLOCK, 2 + 3 * BLOCK)
    assert mixing.global_mask_BhXT.shape == (2, 1, 2, length)


def test_a_window_that_a_text_does_not_fill_needs_no_mask() -> None:
    tokens = Tokens.of(torch.randn(1, 9, 16), None)
    (inside,), (outside,) = (
        network(window=window).encoder.groups.mixings(tokens, None, None) for window in (9, 8)
    )
    assert inside.global_mask_BhXT is None
    assert inside.local.attend is not outside.local.attend
    assert outside.local.attend.keywords["mask"].shape == (1, 1, 9, 9)


@pytest.mark.parametrize("length", [9, 3 * BLOCK])
def test_weights_are_dropped_of_local_and_of_global_tokens(length: int) -> None:
    """All keys alike and values of one: what is left of each query's weights sums to 1 on the
    average, and to something else for each query."""
    model = network(attention_dropout=0.5, window=4)
    attention = model.encoder.layers[0].attention
    for linear in (attention.qkv, attention.global_qkv):
        linear.weight.data.zero_()
        linear.bias.data.copy_(torch.tensor([0.0] * 32 + [1.0] * 16))
    torch.nn.init.eye_(attention.out.weight)
    attention.out.bias.data.zero_()
    x_BTD, given = torch.randn(8, length, 16), torch.tensor([[0, 5]]).expand(8, -1)
    whole = attend(model, x_BTD, None, given)
    torch.testing.assert_close(whole, torch.ones_like(whole))
    model.train()
    dropped = attend(model, x_BTD, None, given)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.1)
    for part in (dropped[:, given[0]], dropped[:, 6:]):
        assert part.unique().numel() > 4
        assert part.std() > 0.03


@torch.no_grad()
def test_documents_in_a_row_have_global_tokens_of_their_own() -> None:
    """By default the first of each; where some are named, each acts in its own document."""
    model = tiny_model("encoder", attention="longformer", window=2, positions="learned")
    documents = [torch.randint(0, VOCABULARY, (length,)) for length in (5, 1, 7)]
    positions = [torch.arange(len(document)) for document in documents]
    numbers = [torch.full_like(document, n) for n, document in enumerate(documents)]
    padding = torch.full((2,), -1)
    row = ModelInputs(
        torch.cat([*documents, torch.zeros(2).long()])[None],
        torch.cat([*positions, padding])[None],
        segments_BT=torch.cat([*numbers, padding])[None],
    )
    for given, of_each in ((None, [None] * 3), ([[2, 3, 8]], [[[2, 3]], [[-1]], [[2]]])):
        chosen = None if given is None else torch.tensor(given)
        together = model(row._replace(global_tokens_BG=chosen))
        alone = [
            model(ModelInputs(ids[None], global_tokens_BG=None if g is None else torch.tensor(g)))
            for ids, g in zip(documents, of_each, strict=True)
        ]
        torch.testing.assert_close(together[0, :13], torch.cat(alone, dim=1)[0], atol=1e-5, rtol=0)
        assert together.isfinite().all()


@torch.no_grad()
def test_a_decoder_beside_it_has_full_attention() -> None:
    model = tiny_model("encoder-decoder", attention="longformer", window=1)
    full = Transformer(tiny_config("encoder-decoder")).eval()
    weights = model.state_dict()
    full.load_state_dict({n: w for n, w in weights.items() if "global" not in n})
    assert [n for n in weights if "global" in n] == [
        f"encoder.layers.{i}.attention.global_qkv.{part}"
        for i in range(2)
        for part in ("weight", "bias")
    ]
    ids_BT, x_BTD = torch.randint(0, VOCABULARY, (2, 9)), torch.randn(2, 9, 16)
    cross = CrossAttentionContext(torch.randn(2, 5, 16), None, None)
    assert torch.equal(model.decoder(x_BTD, cross=cross), full.decoder(x_BTD, cross=cross))
    source = ModelInputs(torch.randint(0, VOCABULARY, (2, 12)))
    given = source._replace(global_tokens_BG=torch.tensor([[3], [4]]))
    found = [model(ModelInputs(ids_BT, source=each)) for each in (source, given)]
    assert not torch.allclose(*found, atol=1e-4)  # the source's are read


@pytest.mark.parametrize(
    "fields", [{"attention": "longformer"}, {"layers": (LayerSpec(attention="longformer"),)}]
)
def test_a_decoder_alone_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"^longformer attention is for encoders; .* sliding"):
        Transformer(tiny_config("decoder", **fields))


def test_global_tokens_go_where_the_inputs_go() -> None:
    source = ModelInputs(torch.tensor([[3]]), global_tokens_BG=torch.tensor([[0]]))
    moved = ModelInputs(torch.tensor([[4, 5]]), source=source).map(lambda tensor: tensor + 1)
    assert moved.global_tokens_BG is None
    assert moved.source.global_tokens_BG.tolist() == [[1]]


def test_a_text_has_no_more_first_tokens_than_tokens() -> None:
    assert GlobalTokens.first(5, torch.zeros(2, 3)).indices_BG.tolist() == [[0, 1, 2]] * 2


@pytest.mark.parametrize("length", [9, 2 * BLOCK + 9])
@pytest.mark.parametrize("named", [False, True])
def test_no_number_is_read_from_a_device(length: int, named: bool) -> None:
    model = network(max_positions=length, encoder_layers=2, attention_dropout=0.1).train()
    inputs = ModelInputs(
        torch.randint(0, VOCABULARY, (2, length)),
        padded_positions(torch.tensor([length, 5]), length),
        global_tokens_BG=torch.tensor([[0, 4], [1, -1]]) if named else None,
    )
    with virtual_device() as device:
        model.to("cuda")
        there = inputs.map(lambda tensor: tensor.to("cuda", non_blocking=True))
        device.reads.clear()
        device.uploads.clear()
        model(there).square().mean().backward()
    assert not device.reads
    assert not device.uploads
