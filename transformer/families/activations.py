"""Names of activations: published ones, and ours."""

from collections.abc import Mapping

ACTIVATIONS = {
    "relu": "relu",
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu-tanh",
    "gelu_pytorch_tanh": "gelu-tanh",
    "gelu_fast": "gelu-tanh",
    "quick_gelu": "gelu-sigmoid",
    "silu": "silu",
    "swish": "silu",
}
GATED = {"relu": "reglu", "gelu": "geglu", "gelu-tanh": "geglu-tanh", "silu": "swiglu"}
GATED_ACTIVATIONS = {theirs: GATED[ours] for theirs, ours in ACTIVATIONS.items() if ours in GATED}


def published_name(ours: str, table: Mapping[str, str] = ACTIVATIONS) -> str | None:
    """Return the first published name for one of ours, or None if there is none."""
    return next((theirs for theirs, name in table.items() if name == ours), None)
