"""Several answers to a line, all of which are different texts."""

from collections.abc import Sequence
from dataclasses import replace

from ..decoding.search import BeamParameters
from ..decoding.search.parameters import SearchParameters
from .notices import Notices, that_happened
from .records import Output


def with_spare_hypotheses(parameters: SearchParameters) -> SearchParameters:
    """Return parameters with which all beams are hypotheses, if several answers are asked for.

    Beams may spell one text with different tokens.
    """
    if isinstance(parameters, BeamParameters) and parameters.n_best > 1:
        return replace(parameters, n_best=parameters.beam)
    return parameters


def distinct_answers(
    outputs: Sequence[Output], parameters: SearchParameters
) -> tuple[list[Output], Notices]:
    """Return as many outputs of different texts as beam search was asked for, best first.

    Samples may be equal: they are drawn independently. A notice says where there are fewer.
    """
    if not isinstance(parameters, BeamParameters) or parameters.n_best == 1:
        return list(outputs), {}
    first_of_text = {output.text: output for output in reversed(outputs)}
    distinct = [output for output in outputs if first_of_text[output.text] is output]
    distinct = distinct[: parameters.n_best]
    fewer = len(distinct) if len(distinct) < parameters.n_best else 0
    return distinct, that_happened(fewer_answers=fewer)


def fewest_answers(ranked: Sequence[tuple[list[Output], Notices]]) -> Notices:
    """Return the notice of the segment of a line that has the fewest answers."""
    fewer = [len(outputs) for outputs, notices in ranked if notices]
    return that_happened(fewer_answers=min(fewer, default=0))
