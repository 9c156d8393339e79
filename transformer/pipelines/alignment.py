"""Which source tokens written tokens come from: cross-attention, once a text is finished.

Shape suffixes: B texts, T written tokens, S source tokens, D d_model.
"""

import math
from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from tokenizer import Tokenizer

from ..data import pad
from ..decoding.request import Hypothesis, Request
from ..loading import LoadedModel

Pair = tuple[int, int]  # source, target


@torch.inference_mode()
def attention_weights(
    loaded: LoadedModel, task: Request, found: Sequence[Hypothesis]
) -> list[Tensor]:
    """How much each token of each text looks at each source token, (T, S): the mean over the heads
    of the last decoder layer but one (arXiv 1909.02074 §3), or of the only one."""
    texts = [[*task.prompt, *h.ids][: len(task.prompt) - 1 + len(h.ids)] or [0] for h in found]
    source_BS = torch.tensor([task.source], device=loaded.device).expand(len(found), -1)
    looks = loaded.model.cross_attention_weights(pad(texts, 0).to(loaded.device), source_BS)
    weights_BTS = looks[max(0, len(looks) - 2)].mean(dim=1).float().cpu()
    first = len(task.prompt) - 1
    return [
        weights_TS[first : first + len(h.ids)]
        for weights_TS, h in zip(weights_BTS, found, strict=True)
    ]


def coverage_score(weights_TS: Tensor) -> float:
    """`Σ_i log min(Σ_j p_ij, 1)` over source tokens i: 0 where all are looked at, below where some
    are left out; arXiv 1609.08144 §7."""
    seen_S = weights_TS.sum(dim=0).clamp(max=1.0)
    return sum(math.log(max(value, 1e-9)) for value in seen_S.tolist())


def align_words(
    weights_TS: Tensor, source: Sequence[int | None], target: Sequence[int | None]
) -> list[Pair]:
    """Pairs of words, each written token's with that of the source token it looks at most, sorted
    and without repeats. `source` and `target` say which word each token belongs to, None: none."""
    real = [place for place, word in enumerate(source) if word is not None]
    if not real or not len(weights_TS):
        return []
    best = weights_TS[:, real].argmax(dim=1).tolist()
    pairs = {(source[real[i]], word) for i, word in zip(best, target, strict=True)}
    return sorted((s, t) for s, t in pairs if s is not None and t is not None)


def word_numbers(
    tokenizer: Tokenizer, ids: Sequence[int], special: Collection[int] = ()
) -> list[int | None]:
    """The number of the word, between spaces, in which each token ends; None for special ones and
    before the first word."""
    found: list[int | None] = []
    plain: list[int] = []
    for token in ids:
        plain += [] if token in special else [token]
        count = len(tokenizer.decode(plain).split())
        found.append(None if token in special or not count else count - 1)
    return found
