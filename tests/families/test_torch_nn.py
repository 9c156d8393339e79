"""torch.nn.Transformer's weights become stacks of ours, and go back bit for bit."""

import pytest
import torch
from torch import nn

from checkpoints import CheckpointError
from tests.families.torch_nn import from_torch_nn, to_torch_nn
from tests.models import tiny_model

SIZES = dict(d_model=16, nhead=4, num_encoder_layers=2, num_decoder_layers=1, dim_feedforward=24)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("placement", ["post", "pre"])
@torch.no_grad()
def test_stacks_come_in_and_go_out(placement: str, bias: bool) -> None:
    options = dict(dropout=0.0, batch_first=True, norm_first=placement == "pre", bias=bias)
    theirs = nn.Transformer(**SIZES, **options)
    for weight in theirs.parameters():
        weight.add_(0.3 * torch.randn_like(weight))
    ours = tiny_model(
        "encoder-decoder",
        decoder_layers=1,
        norm_placement=placement,
        final_norm=True,
        positions="none",
        bias=bias,
        norm="layernorm",
    )
    state = from_torch_nn(theirs.state_dict())
    if not bias:  # their norms lose it too
        state |= {n: torch.zeros_like(t) for n, t in ours.state_dict().items() if "norm.bias" in n}
    missing, unknown = ours.load_state_dict(state, strict=False)
    assert not unknown
    assert all(name.startswith(("embedding", "head")) for name in missing)
    x_BTD, source_BSD = torch.randn(2, 5, 16), torch.randn(2, 7, 16)
    mask = nn.Transformer.generate_square_subsequent_mask(5)
    wanted = theirs(source_BSD, x_BTD, tgt_mask=mask, tgt_is_causal=True)
    found = run(ours, source_BSD, x_BTD)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)
    back = to_torch_nn(from_torch_nn(theirs.state_dict()))
    assert back.keys() == theirs.state_dict().keys()
    assert all(torch.equal(back[name], t) for name, t in theirs.state_dict().items())


def run(model, source_BSD, x_BTD):
    from transformer.layers import CrossAttentionContext

    memory_BSD = model.encoder(source_BSD)
    return model.decoder(x_BTD, cross=CrossAttentionContext(memory_BSD, None, None))


def test_what_the_module_does_not_have_is_named() -> None:
    with pytest.raises(CheckpointError, match=r"no encoder\.positions\.embedding"):
        to_torch_nn(tiny_model("encoder-decoder", positions="learned").state_dict())
    with pytest.raises(CheckpointError, match=r"no encoder\.conv"):
        from_torch_nn({"encoder.conv.weight": torch.zeros(1)})
