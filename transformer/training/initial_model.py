"""The model that training starts from, with --init."""

from pathlib import Path

from ..errors import ConfigError
from ..loading import LoadedModel, load_model


def load_initial_model(path: Path) -> LoadedModel:
    """Return the model to start from.

    Raises ConfigError for one that expects other special tokens around its texts, and what
    `load_model` raises.
    """
    init = load_model(path, device="cpu", trust_cache=False)
    end = init.generation.end_id
    plain = init.special_affixes == ([], [end]) and init.target_tokenizer is init.tokenizer
    forced = init.generation.forced_bos_token_id is not None
    if not plain or forced or init.decoder_start_id != init.tokenizer.role("begin"):
        raise ConfigError(
            f"--init: {init.folder} is a published model that needs special tokens of its own "
            "around each text, which training does not add yet; models trained here, and published "
            "ones like GPT-2, can be trained further"
        )
    return init
