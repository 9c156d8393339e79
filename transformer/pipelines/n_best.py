"""Several answers to a line, all of which are different texts."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace

from ..decoding.request import Hypothesis, Request
from ..decoding.search import BeamParameters, SamplingParameters
from ..decoding.search.parameters import SearchParameters
from .notices import Notices, that_happened
from .records import Output

_MAX_DRAWS = 3  # of all samples of a text, while they are not different enough


def with_spare_hypotheses(parameters: SearchParameters) -> SearchParameters:
    """Return parameters with which all beams are hypotheses, if several answers are asked for.

    Beams may spell one text with different tokens.
    """
    if isinstance(parameters, BeamParameters) and parameters.n_best > 1:
        return replace(parameters, n_best=parameters.beam)
    return parameters


def draw_different(
    request: Request,
    hypotheses: list[Hypothesis],
    parameters: SearchParameters,
    *,
    n_best: int,
    decode: Callable[[Request, Hypothesis], str],
) -> Generator[Request, list[Hypothesis], list[Hypothesis]]:
    """Draw samples once more where fewer than `n_best` of their texts differ.

    The first sample of each text is kept. What is drawn depends on the seed alone.
    """
    if n_best == 1 or not isinstance(parameters, SamplingParameters):
        return hypotheses
    by_text: dict[str, Hypothesis] = {}
    for draw in range(1, _MAX_DRAWS + 1):
        for hypothesis in hypotheses:
            by_text.setdefault(decode(request, hypothesis), hypothesis)
        if len(by_text) >= n_best or draw == _MAX_DRAWS:
            break
        hypotheses = yield replace(request, rng_key=(*request.rng_key, draw))
    return sorted(list(by_text.values())[:n_best], key=lambda hypothesis: -hypothesis.score)


def distinct_answers(outputs: Sequence[Output], n_best: int) -> tuple[list[Output], Notices]:
    """Return `n_best` outputs of different texts, best first.

    A notice says where there are fewer. Where one answer is wanted, all outputs are returned.
    """
    if n_best == 1:
        return list(outputs), {}
    first_of_text = {output.text: output for output in reversed(outputs)}
    distinct = [output for output in outputs if first_of_text[output.text] is output]
    distinct = distinct[:n_best]
    return distinct, that_happened(fewer_answers=len(distinct) if len(distinct) < n_best else 0)
