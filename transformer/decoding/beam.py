"""Beam search over a step function.

Shape suffixes: B texts still being searched, K beams, C = 2K candidates, T tokens so far,
V vocabulary, R = B·K rows of the stepper.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .hypothesis import Hypothesis, Row, SearchOptions
from .processors import chain
from .stepper import Stepper


class Beams(NamedTuple):
    """The beams still growing, best first."""

    texts_B: Tensor  # which text each is about
    sums_BK: Tensor  # log-probability so far; -inf for a beam that does not exist yet
    ids_BKT: Tensor
    log_probabilities_BKT: Tensor


class Candidates(NamedTuple):
    """The 2K best continuations of each text: even if K of them end, K are left to go on."""

    parents_BC: Tensor
    tokens_BC: Tensor
    log_probabilities_BC: Tensor
    sums_BC: Tensor


def beam_search(
    stepper: Stepper, first_R: Tensor, limits: Sequence[int], options: SearchOptions
) -> list[list[Hypothesis]]:
    """The `n_best` best hypotheses of each text, best first.

    A text is done when K hypotheses have ended and no growing beam can score better than the worst
    of them, as `early_stopping` has it: False looks at how the best would score if it ended at its
    present length, "never" at the best score that its log-probability can still give, up to the
    limit; True does not look. Processors change what beams are ranked by, and what is left is not
    normalised again. All of this is Hugging Face's definition.
    """
    K = max(options.beam, options.n_best)
    finished: list[list[Hypothesis]] = [[] for _ in limits]
    beams = _start(first_R, K)
    stepper.reorder(beams.texts_B.repeat_interleave(K))
    ids_R = first_R.repeat_interleave(K)
    end_E = torch.tensor(sorted(options.end), device=first_R.device)
    limits_B = torch.tensor(limits, device=first_R.device)
    process = chain(options.processors)
    prompts = [options.prompt(row, first) for row, first in enumerate(first_R.tolist())]
    for length in range(1, max(limits) + 1):
        logits_RV = stepper.step(ids_R)
        ranked_RV = logits_RV
        if process is not None:
            ranked_RV = process(logits_RV.log_softmax(dim=-1), _rows(beams, prompts, limits))
        candidates = _extend(beams, logits_RV, ranked_RV)
        over_B1 = (limits_B[beams.texts_B] == length)[:, None]
        ended_BC = torch.isin(candidates.tokens_BC, end_E) | over_B1
        _collect(finished, beams, candidates, ended_BC[:, :K], options)
        beams, parents_BK = _select(beams, candidates, ended_BC)
        open_B = _still_open(finished, beams, limits, length, options) & ~over_B1[:, 0]
        rows_BK = parents_BK + K * torch.arange(len(parents_BK), device=parents_BK.device)[:, None]
        beams = Beams(*(part[open_B] for part in beams))
        if not len(beams.texts_B):
            break
        stepper.reorder(rows_BK[open_B].flatten())
        ids_R = beams.ids_BKT[:, :, -1].flatten()
    return [best[: options.n_best] for best in finished]


def _start(first_B: Tensor, K: int) -> Beams:
    B, device = len(first_B), first_B.device
    sums_BK = torch.full((B, K), float("-inf"), device=device)
    sums_BK[:, 0] = 0.0  # all beams are alike at first: let only one count
    ids_BKT = torch.empty((B, K, 0), dtype=torch.long, device=device)
    return Beams(torch.arange(B, device=device), sums_BK, ids_BKT, ids_BKT.float())


def _rows(beams: Beams, prompts: Sequence[Sequence[int]], limits: Sequence[int]) -> list[Row]:
    """What processors see of each beam."""
    texts = zip(beams.texts_B.tolist(), beams.ids_BKT.tolist(), strict=True)
    return [Row(b, prompts[b], written, limits[b]) for b, kept in texts for written in kept]


def _extend(beams: Beams, logits_RV: Tensor, ranked_RV: Tensor) -> Candidates:
    """The best 2K continuations, found among the best 2K of each beam. Sums grow by what tokens
    are ranked by: the model's log-probabilities, unless processors have changed them."""
    B, K = beams.sums_BK.shape
    each = min(2 * K, logits_RV.size(-1))
    top_RC, tokens_RC = ranked_RV.topk(each)
    total_R1 = logits_RV.logsumexp(dim=-1, keepdim=True)
    log_probabilities_RC = logits_RV.gather(1, tokens_RC) - total_R1
    gains_RC = log_probabilities_RC if ranked_RV is logits_RV else top_RC
    sums_BKC = beams.sums_BK[:, :, None] + gains_RC.view(B, K, each)
    sums_BC, places_BC = sums_BKC.flatten(1).topk(min(2 * K, K * each))
    return Candidates(
        parents_BC=places_BC // each,
        tokens_BC=tokens_RC.view(B, -1).gather(1, places_BC),
        log_probabilities_BC=log_probabilities_RC.view(B, -1).gather(1, places_BC),
        sums_BC=sums_BC,
    )


def _collect(
    finished: list[list[Hypothesis]],
    beams: Beams,
    candidates: Candidates,
    ended_BK: Tensor,
    options: SearchOptions,
) -> None:
    """Take ended candidates among the best K into their text's list, which keeps the best K."""
    K = ended_BK.size(1)
    possible_BK = ended_BK & candidates.sums_BC[:, :K].isfinite()
    for b, c in possible_BK.nonzero().tolist():
        parent, token = int(candidates.parents_BC[b, c]), int(candidates.tokens_BC[b, c])
        ids = [*beams.ids_BKT[b, parent].tolist(), token]
        log_probabilities = beams.log_probabilities_BKT[b, parent].tolist()
        log_probabilities.append(float(candidates.log_probabilities_BC[b, c]))
        ends = token in options.end
        score = options.score(float(candidates.sums_BC[b, c]), len(ids))
        best = finished[int(beams.texts_B[b])]
        best.append(Hypothesis(ids[:-1] if ends else ids, score, log_probabilities, ends))
        best.sort(key=lambda hypothesis: -hypothesis.score)
        del best[K:]


def _select(beams: Beams, candidates: Candidates, ended_BC: Tensor) -> tuple[Beams, Tensor]:
    """The best K candidates that go on, and the beams from which they come."""
    K = beams.sums_BK.size(1)
    going_BC = candidates.sums_BC.masked_fill(ended_BC, float("-inf"))
    sums_BK, places_BK = going_BC.topk(min(K, going_BC.size(1)))
    parents_BK, tokens_BK, log_probabilities_BK = (
        part.gather(1, places_BK) for part in candidates[:3]
    )
    history_BK1 = parents_BK[:, :, None].expand(-1, -1, beams.ids_BKT.size(-1))
    grown = Beams(
        texts_B=beams.texts_B,
        sums_BK=sums_BK,
        ids_BKT=torch.cat([beams.ids_BKT.gather(1, history_BK1), tokens_BK[:, :, None]], -1),
        log_probabilities_BKT=torch.cat(
            [
                beams.log_probabilities_BKT.gather(1, history_BK1),
                log_probabilities_BK[:, :, None],
            ],
            dim=-1,
        ),
    )
    return grown, parents_BK


def _still_open(
    finished: list[list[Hypothesis]],
    beams: Beams,
    limits: Sequence[int],
    length: int,
    options: SearchOptions,
) -> Tensor:
    """Which texts can still improve (B)."""
    can, K = [], beams.sums_BK.size(1)
    longest = options.early_stopping == "never" and options.length_penalty > 0
    for text, best_sum in zip(beams.texts_B.tolist(), beams.sums_BK[:, 0].tolist(), strict=True):
        best = finished[text]
        if len(best) < K:
            can.append(best_sum > float("-inf"))
        elif options.early_stopping is True:
            can.append(False)
        else:
            hoped = options.score(best_sum, limits[text] if longest else length)
            can.append(hoped > best[-1].score)
    return torch.tensor(can, dtype=torch.bool, device=beams.texts_B.device)
