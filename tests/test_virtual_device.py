"""The stand-in for CUDA refuses what CUDA refuses, and counts what CUDA would wait for."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.virtual_device import MixedDevicesError, on_device, virtual_device

MIXTURES = {
    "a sum": lambda here, there: here + there,
    "a product": lambda here, there: there @ here,
    "a joint": lambda here, there: torch.cat([there, here]),
    "a choice": lambda here, there: torch.where(there > 0, there, here),
    "in place": lambda here, there: there.add_(here),
    "onto the host": lambda here, there: here[0].add_(there[0]),
    "onto the host's number": lambda here, there: here[0].__iadd__(there[0]),
    "a gather": lambda here, there: there.gather(0, here.long()),
    "the device's index": lambda here, there: here[there.long()],
    "a module": lambda here, there: F.linear(there, here[None]),
    "lists": lambda here, there: torch._foreach_add([there], [here]),
}
READS = {
    "item": lambda there: there[0].item(),
    "list": lambda there: there.tolist(),
    "float": lambda there: float(there[0]),
    "int": lambda there: int(there[0]),
    "bool": lambda there: bool(there.isfinite().all()),
    "if": lambda there: 1 if there[0] > 0 else 2,
    "numpy": lambda there: there.numpy(),
    "cpu": lambda there: there.cpu(),
    "to the host": lambda there: there.to("cpu"),
    "as another": lambda there: there.to(torch.ones(1)),
    "onto the host": lambda there: torch.empty(3).copy_(there),
    "nonzero": lambda there: there.nonzero(),
    "where": lambda there: torch.where(there > 0),
    "mask": lambda there: there[there > 0],
    "masked values": lambda there: there.__setitem__(there > 0, 2 * there),
    "masked_select": lambda there: there.masked_select(there > 0),
    "unique": lambda there: there.unique(),
    "counts": lambda there: there.repeat_interleave(there.long()),
    "equal": lambda there: torch.equal(there, there),
    "new": lambda there: torch.tensor([there[0], there[1]]),
    "in backward": lambda there: _ReadsBackward.apply(there).sum().backward(),
}
FREE = {
    "arithmetic": lambda there: (there * 2 + torch.ones(())).sum(),
    "a number of the host's": lambda there: torch.ones(()) * there - torch.ones(()),
    "a number's mask": lambda there: there.__setitem__(there > 0, 0.0),
    "sizes": lambda there: (there.shape, len(there), there.device, there.dtype),
    "late numbers": lambda there: torch.empty(3).copy_(there, non_blocking=True),
    "known counts": lambda there: there.repeat_interleave(there.long(), output_size=3),
    "places": lambda there: there[there.long().clamp(max=2)],
    "slices": lambda there: there[1:][None].expand(2, -1),
    "a new one": lambda there: torch.arange(3, device=there.device) + there,
    "unpinned, later": lambda _: torch.ones(3).to("cuda", non_blocking=True),
    "gradients": lambda there: there.square().sum().backward(),
}
UPLOADS = {
    "tensor": lambda there: torch.tensor([1.0], device=there.device),
    "new_tensor": lambda there: there.new_tensor([1.0]),
    "to the device": lambda _: torch.ones(3).to("cuda"),
    "copy_": lambda there: there.detach().copy_(torch.ones(3)),
    "an index": lambda there: there[torch.tensor([0, 1])],
    "a list": lambda there: there[[0, 1]],
}


class _ReadsBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return 2 * x

    @staticmethod
    def backward(ctx, slope):
        (x,) = ctx.saved_tensors
        x.sum().item()
        return 2 * slope


@pytest.mark.parametrize("mixture", MIXTURES)
def test_the_host_and_the_device_do_not_mix(mixture: str) -> None:
    with virtual_device():
        there = torch.ones(3, device="cuda")
        with pytest.raises(MixedDevicesError, match=r"test_virtual_device\.py:\d+"):
            MIXTURES[mixture](torch.ones(3), there)


@pytest.mark.parametrize("kind", [*READS, *FREE, *UPLOADS])
def test_what_waits_for_the_device_is_counted_with_its_line(kind: str) -> None:
    act = {**READS, **FREE, **UPLOADS}[kind]
    with virtual_device() as device:
        leaf = torch.ones(3, device="cuda").requires_grad_()
        act(leaf if "grad" in kind or "backward" in kind else leaf.detach())
    found = device.reads if kind in READS else device.uploads
    assert sum(device.reads.values()) == (kind in READS)
    assert sum(device.uploads.values()) == (kind in UPLOADS)
    assert all(line.startswith("tests/test_virtual_device.py:") for line in found)


def test_results_stay_where_their_inputs_are() -> None:
    with virtual_device():
        there, here = torch.ones(4, 2, device="cuda"), torch.ones(4, 2)
        first, *_ = there.T
        assert all(map(on_device, (first, there.view(-1), *there.split(2), there.max(dim=0)[1])))
        assert on_device(here.to(there)) and on_device(here.to("cuda")) and not on_device(here)
        assert not on_device(there.cpu()) and on_device(there)
        assert there.new_zeros(1).device.type == torch.zeros_like(there).device.type == "cuda"
        assert (here + here).device.type == torch.ones(1).device.type == "cpu"


@pytest.mark.parametrize("where", ["cuda", torch.device("cuda")], ids=["name", "device"])
def test_a_module_moves_and_its_gradients_are_where_it_is(where: str | torch.device) -> None:
    with virtual_device() as device:
        module = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3)).to(where)
        optimizer = torch.optim.AdamW(module.parameters(), fused=True)
        device.uploads.clear()
        with torch.autocast("cuda", dtype=torch.bfloat16):
            product = module[0](torch.ones(4, 2, device="cuda"))
        assert product.dtype == torch.bfloat16
        module[1](product.float()).square().sum().backward()
        optimizer.step()
        for weight in module.parameters():
            assert all(map(on_device, (weight, weight.grad, *optimizer.state[weight].values())))
    assert not device.reads and not device.uploads


def test_nothing_is_left_behind() -> None:
    before = torch.autocast, torch._C._group_tensors_by_device_and_dtype
    with virtual_device():
        pass
    assert (torch.autocast, torch._C._group_tensors_by_device_and_dtype) == before
    assert Path(__file__).name not in str(torch.ones(1).device)
