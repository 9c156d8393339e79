"""Word alignments and coverage from cross-attention, computed once a text is finished.

Shape suffixes: B texts, T generated tokens, S source tokens, D d_model.
"""

import math
from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from tokenizer import Tokenizer

from ..data import pad, pad_rows
from ..decoding.request import Hypothesis, Request
from ..loading import LoadedModel

Pair = tuple[int, int]  # source, target


@torch.inference_mode()
def attention_weights(
    loaded: LoadedModel, request: Request, hypotheses: Sequence[Hypothesis]
) -> list[Tensor]:
    """Return each hypothesis' cross-attention weights (T, S) over the source.

    They are the mean over the heads of the last decoder layer but one (arXiv 1909.02074 §3), or of
    the only one.
    """
    decoder_rows = [
        [*request.prompt, *h.ids][: len(request.prompt) - 1 + len(h.ids)] or [0] for h in hypotheses
    ]
    chosen = [request.global_tokens]
    source = pad_rows([request.source], loaded.device, global_tokens=chosen)  # of all hypotheses
    layer_weights = loaded.model.cross_attention_weights(
        pad(decoder_rows, 0).to(loaded.device), source._replace(positions_BT=None)
    )
    weights_BTS = layer_weights[max(0, len(layer_weights) - 2)].mean(dim=1).float().cpu()
    start = len(request.prompt) - 1
    return [
        weights_TS[start : start + len(h.ids)]
        for weights_TS, h in zip(weights_BTS, hypotheses, strict=True)
    ]


def coverage_score(weights_TS: Tensor) -> float:
    """Compute `Σ_i log min(Σ_j p_ij, 1)` over source tokens i (arXiv 1609.08144 §7).

    It is 0 where every source token is attended to and negative where some are left out.
    """
    attended_S = weights_TS.sum(dim=0).clamp(max=1.0)
    return sum(math.log(max(value, 1e-9)) for value in attended_S.tolist())


def align_words(
    weights_TS: Tensor, source_words: Sequence[int | None], target_words: Sequence[int | None]
) -> list[Pair]:
    """Pair each target token's word with that of the source token it attends to most.

    `source_words` and `target_words` hold the index of each token's word, None for a token of no
    word. The pairs are sorted and unique.
    """
    source_indices = [index for index, word in enumerate(source_words) if word is not None]
    if not source_indices or not len(weights_TS):
        return []
    aligned = weights_TS[:, source_indices].argmax(dim=1).tolist()
    pairs = {
        (source_words[source_indices[i]], word)
        for i, word in zip(aligned, target_words, strict=True)
    }
    return sorted((s, t) for s, t in pairs if s is not None and t is not None)


def word_ids(
    tokenizer: Tokenizer, ids: Sequence[int], special_ids: Collection[int] = ()
) -> list[int | None]:
    """Return the index of the whitespace-separated word in which each token ends.

    It is None for special tokens and for tokens before the first word.
    """
    words: list[int | None] = []
    visible_ids: list[int] = []
    for token in ids:
        visible_ids += [] if token in special_ids else [token]
        count = len(tokenizer.decode(visible_ids).split())
        words.append(None if token in special_ids or not count else count - 1)
    return words
