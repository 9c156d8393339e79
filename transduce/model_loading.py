"""Loading of a model in Python, or of several that decode together."""

from pathlib import Path

from checkpoints import CheckpointError
from transformer.errors import ConfigError, MissingModelError
from transformer.loading import load_for_inference
from transformer.model_names import check_spelled_name
from transformer.pipelines.arguments import SpeculationArguments
from transformer.pipelines.session import Session

from .model import Model
from .results import inform, warn


def load(
    model: str | Path,
    *others: str | Path,
    device: str = "auto",
    dtype: str | None = None,
    adapter: str | Path | None = None,
    draft: str | Path | None = None,
    lookup: bool = False,
    draft_tokens: int | None = None,
) -> Model:
    """Load a model: a folder, a training run's folder, or a name on the Hugging Face hub.

    Others with the same tokens are averaged with it. The keywords are the command line's options of
    the same names. Without `dtype` a CPU computes in float16 where that was measured to be faster
    than float32, and a GPU in bfloat16, which is logged as information. Raises CheckpointError,
    ConfigError and OSError.

    >>> model = transduce.load("runs/en-de")  # doctest: +SKIP
    """
    for name in (model, *others, *(each for each in (adapter, draft) if each is not None)):
        try:
            check_spelled_name(name)
        except MissingModelError as error:
            raise CheckpointError(str(error)) from None
    speculation = SpeculationArguments(
        draft=None if draft is None else Path(draft), lookup=lookup, draft_tokens=draft_tokens
    )
    if adapter is not None and others:
        raise ConfigError(f"an adapter is for one model, and {1 + len(others)} are named")
    on_it = None if adapter is None else Path(adapter)
    loaded = [
        load_for_inference(Path(path), device=device, dtype=dtype, adapter=on_it)
        for path in (model, *others)
    ]
    warn([*dict.fromkeys(notice for each in loaded for notice in each.dtype_notices)])
    inform([*dict.fromkeys(each.dtype_choice for each in loaded if each.dtype_choice)])
    return Model(Session(loaded, speculation))
