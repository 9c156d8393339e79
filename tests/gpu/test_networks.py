"""Every variant of the network computes on CUDA what it computes on the CPU."""

import pytest
import torch
from torch import Tensor

from tests.gpu.comparing import assert_gradients_near, assert_near, moved
from tests.models import SHAPES, VOCABULARY, model_inputs, tiny_model
from transformer.attention import ATTENTION
from transformer.feedforward import FEEDFORWARDS
from transformer.heads import HEADS
from transformer.layer_spec import RotaryScaling
from transformer.losses import projected_cross_entropy
from transformer.masks import padded_positions
from transformer.norms import NORMS, QK_NORMS, RESIDUALS
from transformer.positions import POSITIONS

pytestmark = pytest.mark.gpu

DTYPES = [torch.float32, torch.bfloat16]
FACTORS = {"short_factors": (1.5, 3.0), "long_factors": (9.0, 9.0)}
LONGROPE = RotaryScaling(kind="longrope", factor=2.0, original_context=4, **FACTORS)
SLIDING = {"attention": "sliding", "window": 5, "global_tokens": 2}
SPARSE = [{"attention": name, "stride": 16} for name in ("strided", "fixed")]
LONG = 400  # a sliding window comes in blocks above 2 · 64 tokens, sparse attention above 374
VARIANTS = [
    *({"positions": name} for name in POSITIONS),
    *({"positions": name, **SLIDING} for name in POSITIONS),
    *({"norm": norm, "norm_placement": place} for norm in NORMS for place in RESIDUALS),
    *({"feedforward": name} for name in FEEDFORWARDS),
    *({"head": name} for name in HEADS),
    *({"kv_heads": heads, "positions": "rotary"} for heads in (1, 2)),
    {"kv_heads": 2, "positions": "alibi"},
    {"bias": False, "output_bias": True, "final_norm": True, "embedding_norm": True},
    {"share_embeddings": False, "tie_output": False, "token_types": 2},
    {"positions": "rotary", "max_positions": LONG, **SLIDING},
    *({"positions": "rotary", "max_positions": LONG, **fields} for fields in SPARSE),
    *({"attention": name} for name in ("linear", "linear-decay", "performer")),
    {"attention": "ssru", "max_positions": LONG},
    *({"qk_norm": name, "norm": norm} for name in QK_NORMS for norm in NORMS),
    {"attention_softcap": 0.5, "logit_softcap": 2.0},
    {"positions": "rotary", "rotary_fraction": 0.5},
    {"positions": "rotary", "rotary_scaling": LONGROPE},
]

every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "bfloat16"])


def inputs(shape: str, length: int) -> dict[str, Tensor]:
    """Three texts of different lengths, and sources for them."""
    lengths = torch.tensor([length, length // 2, 1])
    given = {
        "ids_BT": torch.randint(0, VOCABULARY, (3, length)),
        "positions_BT": padded_positions(lengths, length),
    }
    if shape == "encoder-decoder":
        given["source_BS"] = torch.randint(0, VOCABULARY, (3, 7))
        given["source_positions_BS"] = padded_positions(torch.tensor([3, 7, 5]), 7)
    return given


def run(model, given: dict[str, Tensor], dtype: torch.dtype) -> Tensor:
    """Logits of real tokens, computed as in training, and their gradients in the model."""
    on = model.device
    given = {name: tensor.to(on) for name, tensor in given.items()}
    with torch.autocast(on.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        logits_BTV = model(model_inputs(**given)).float()
    real_BT1 = (given["positions_BT"] >= 0)[..., None]
    slopes_V = torch.linspace(-1, 1, logits_BTV.size(-1), device=on)
    (logits_BTV.softmax(dim=-1) * slopes_V * real_BT1).sum().backward()
    return logits_BTV * real_BT1


@every_dtype
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: "-".join(map(str, v.values())))
def test_logits_and_gradients_are_the_cpus(variant, shape, dtype, device) -> None:
    """In bfloat16 too against the CPU's in float32, from which neither device is to be far."""
    if (shape, variant.get("attention")) == ("encoder", "ssru"):
        pytest.skip("an encoder cannot have it")
    model = tiny_model(shape, **variant)
    length = LONG if variant.get("max_positions") == LONG else 12
    given = inputs(shape, length)
    found, exact = moved(model, device), moved(model, torch.device("cpu"))
    assert_near(run(found, given, dtype), run(exact, given, torch.float32), dtype)
    assert_gradients_near(found, exact, dtype)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_chunked_loss_and_its_gradients_are_the_cpus(smoothing: float, device) -> None:
    features, weight, bias = torch.randn(50, 16), torch.randn(VOCABULARY, 16), torch.randn(23)
    targets = torch.randint(0, VOCABULARY, (50,))
    found = []
    for on in (torch.device("cpu"), device):
        leaves = [x.detach().to(on).requires_grad_() for x in (features, weight, bias)]
        losses = projected_cross_entropy(*leaves, targets.to(on), smoothing=smoothing)
        losses[0].backward()
        found.append([*losses, *(leaf.grad for leaf in leaves)])
    for wanted, other in zip(*found, strict=True):
        torch.testing.assert_close(other.cpu(), wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ATTENTION)
@every_dtype
@torch.inference_mode()
def test_a_cache_goes_on_as_the_cpus(name: str, dtype, device) -> None:
    """A prompt, rows that change places, then token by token until a ring has come round."""
    fields = {"attention": name, "window": 4, "global_tokens": 1, "kv_heads": 2}
    model = tiny_model("encoder-decoder", positions="rotary", **fields)
    ids_BT, source_BS = torch.randint(0, VOCABULARY, (3, 14)), torch.randint(0, VOCABULARY, (3, 5))
    lengths_B, rows = torch.tensor([6, 2, 4]), [2, 0, 0]
    found = []
    for copy in (moved(model, torch.device("cpu")), moved(model, device).to(dtype)):
        on, states = copy.device, []
        cache = copy.new_cache(3, 14, source_BS=source_BS.to(on), source_lengths=[5, 3, 4])
        places_BT = padded_positions(lengths_B, 6).to(on)
        copy.decode(ids_BT[:, :6].to(on), places_BT, cache, 6)
        cache.reorder(rows)
        for grown in range(8):
            places_B1 = (lengths_B[rows] + grown)[:, None]
            new_B1 = ids_BT[rows].gather(1, places_B1).to(on)
            states_B1D = copy.decode(new_B1, places_B1.to(on), cache, 7 + grown)
            states.append(copy.logits(states_B1D).float())
        found.append(torch.cat(states, dim=1))
    assert_near(found[1], found[0], dtype)
