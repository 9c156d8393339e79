"""Checks that models fit together, and that a model supports a kind of decoding."""

from collections.abc import Sequence

from tokenizer import SpecialAffixes, Tokenizer

from ..abilities import require_ability
from ..errors import ConfigError
from ..loading import LoadedModel

_COMPARED_FIELDS = ("shape", "vocab_size", "source_vocabulary")


def check_ensemble(models: Sequence[LoadedModel]) -> LoadedModel:
    """Raise ConfigError unless the models read and write the same tokens.

    Returns the one with the shortest context, which limits the texts.
    """
    if not models:
        raise ConfigError("an ensemble needs at least one model")
    first, *others = models
    if not first.config.has_decoder:
        require_ability(first.config, "generate", first.named_folder)
    for other in others:
        check_same_tokens(first, other, "be averaged")
    return min(models, key=lambda model: model.config.shorter_positions)


def check_same_tokens(first: LoadedModel, other: LoadedModel, purpose: str) -> None:
    """Raise ConfigError, naming the first difference, unless two models use the same tokens.

    `purpose` completes "cannot …". Special tokens around a text are compared too.
    """
    compared: list[tuple[str, object, object]] = [
        *(
            (name, getattr(first.config, name), getattr(other.config, name))
            for name in _COMPARED_FIELDS
        ),
        ("the end token", set(first.generation.end_ids), set(other.generation.end_ids)),
        (
            "the special tokens around a text",
            _affixes(first),
            _affixes(other),
        ),
    ]
    if first.config.has_encoder:
        starts = first.decoder_start_id, other.decoder_start_id
        compared.append(("the decoder's first token", *starts))
    difference = next((f"{name} is {a}, {b}" for name, a, b in compared if a != b), None)
    difference = difference or _differing_token(first.tokenizer, other.tokenizer)
    difference = difference or _differing_token(first.target_tokenizer, other.target_tokenizer)
    if difference:
        raise ConfigError(f"{first.folder} and {other.folder} cannot {purpose}: {difference}")


def _affixes(loaded: LoadedModel) -> SpecialAffixes:
    has_source = loaded.config.has_encoder
    return loaded.special_affixes if has_source else loaded.tokenizer.special_affixes()


def _differing_token(first: Tokenizer, other: Tokenizer) -> str | None:
    """Describe the lowest id that stands for another token; None where there is none."""
    if first is other:
        return None
    for token_id in range(max(first.largest_id, other.largest_id) + 1):
        first_token, other_token = first.token(token_id), other.token(token_id)
        if first_token != other_token:
            return f"token {token_id:,} is {first_token!r}, {other_token!r}"
    return None


def check_rewinding(loaded: LoadedModel) -> None:
    """Raise ConfigError for a model whose cache cannot be truncated."""
    model = loaded.model
    assert model.decoder is not None
    model.decoder.groups.new_cache(1, 1, model.device, model.dtype).truncate(0)
