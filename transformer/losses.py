"""Cross-entropy with label smoothing, computed in chunks so that not all logits are held.

`loss = (1-ε)·(-log p_target) + ε·mean_v(-log p_v)`; arXiv 1512.00567 §7, as in 1706.03762 §5.4.
Shape suffixes: N predicted tokens, C a chunk of them, D d_model, V vocabulary.
"""

from typing import Any, Protocol

import torch
from torch import Tensor

from .soft_cap import soft_cap

# Logits held at once. CPU: 8 MiB in float32, the fastest of 2^20 … 2^24 measured; elsewhere 2^27,
# as a GPU is faster with few large products.
CHUNK_LOGITS = {"cpu": 1 << 21}


class _ProjectedCrossEntropy(torch.autograd.Function):
    """Projection, log-softmax, loss and gradients, chunk by chunk in the forward pass.

    So logits are computed once and never kept for the backward pass.
    """

    @staticmethod
    def forward(  # noqa: PLR0917
        ctx: Any,
        features_ND: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor | None,
        targets_N: Tensor,
        smoothing: float,
        softcap: float | None,
        differentiate: bool,
    ) -> tuple[Tensor, Tensor]:
        vocabulary = weight_VD.size(0)
        d_features = torch.empty_like(features_ND)
        sum_dtype = torch.promote_types(features_ND.dtype, torch.float32)
        # None for a frozen matrix: its gradient would cost a third of the products
        d_weight = torch.zeros_like(weight_VD, dtype=sum_dtype) if ctx.needs_input_grad[1] else None
        d_bias = None if bias_V is None else torch.zeros_like(bias_V, dtype=sum_dtype)
        nll, uniform_loss = features_ND.new_zeros(2, dtype=sum_dtype).unbind()
        weight = weight_VD.to(features_ND.dtype)
        size = max(1, CHUNK_LOGITS.get(features_ND.device.type, 1 << 27) // vocabulary)
        for start in range(0, len(targets_N), size):
            chunk = slice(start, start + size)
            x_CD, targets_C1 = features_ND[chunk], targets_N[chunk, None]
            logits_CV = (x_CD @ weight.T).to(sum_dtype)
            if bias_V is not None:
                logits_CV += bias_V
            logits_CV = soft_cap(logits_CV, softcap)
            log_probs_CV = logits_CV.log_softmax(dim=-1)
            nll -= log_probs_CV.gather(1, targets_C1).sum()
            if smoothing:
                uniform_loss -= log_probs_CV.sum() / vocabulary
            if not differentiate:
                continue
            d_logits_CV = log_probs_CV.exp_()  # probs, then probs - smoothed target
            if smoothing:
                d_logits_CV -= smoothing / vocabulary
            target_grad_C1 = torch.full_like(targets_C1, smoothing - 1, dtype=d_logits_CV.dtype)
            d_logits_CV.scatter_add_(1, targets_C1, target_grad_C1)
            if softcap is not None:  # the slope of c·tanh(x/c)
                d_logits_CV *= 1 - (logits_CV / softcap).square()
            if d_bias is not None:
                d_bias += d_logits_CV.sum(dim=0)
            d_logits_CV = d_logits_CV.to(features_ND.dtype)
            d_features[chunk] = d_logits_CV @ weight
            if d_weight is not None:
                d_weight += d_logits_CV.T @ x_CD
        ctx.save_for_backward(d_features, d_weight, d_bias)
        return (1 - smoothing) * nll + smoothing * uniform_loss, nll

    @staticmethod
    def backward(ctx: Any, scale: Tensor, _plain: Tensor) -> tuple[Tensor | None, ...]:
        d_features, d_weight, d_bias = ctx.saved_tensors
        d_weight = None if d_weight is None else d_weight * scale
        d_bias = None if d_bias is None else d_bias * scale
        return d_features * scale, d_weight, d_bias, None, None, None, None


class Projection(Protocol):
    """A projection of features (…, D) to outputs (…, V), without gradients."""

    out_features: int

    def __call__(self, features: Tensor) -> Tensor:
        """Return the outputs."""
        ...


def projected_nll(
    project: Projection, features_ND: Tensor, targets_N: Tensor, *, softcap: float | None
) -> Tensor:
    """Return the sum over N of the NLL by a projection for inference, which has no gradients."""
    size = max(1, CHUNK_LOGITS["cpu"] // project.out_features)
    nll = features_ND.new_zeros(())
    for x_CD, targets_C in zip(
        torch.split(features_ND, size), torch.split(targets_N, size), strict=True
    ):
        log_probs_CV = soft_cap(project(x_CD), softcap).log_softmax(dim=-1)
        nll -= log_probs_CV.gather(1, targets_C[:, None]).sum()
    return nll


def projected_cross_entropy(
    features_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor | None,
    targets_N: Tensor,
    *,
    smoothing: float = 0.0,
    softcap: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Return sums over N of the smoothed loss, which has gradients, and of the NLL, without any.

    Matrix products run in autocast's dtype, where it is on; everything else in float32, or in
    float64 if the features are float64. With `softcap`, logits go through `soft_cap` first.
    """
    device = features_ND.device.type
    differentiate = torch.is_grad_enabled()
    if torch.is_autocast_enabled(device):
        features_ND = features_ND.to(torch.get_autocast_dtype(device))
    with torch.autocast(device, enabled=False):
        loss, nll = _ProjectedCrossEntropy.apply(  # type: ignore[no-untyped-call]
            features_ND, weight_VD, bias_V, targets_N, smoothing, softcap, differentiate
        )
    return loss, nll.detach()
