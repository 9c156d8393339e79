"""Which models can work together, and which can do what is asked of them."""

from collections.abc import Sequence

from tokenizer import Tokenizer

from ..attention import ATTENTION
from ..errors import ConfigError
from ..loading import LoadedModel

_FIELDS = ("shape", "vocab_size", "source_vocabulary")


def check_ensemble(models: Sequence[LoadedModel]) -> LoadedModel:
    """Raise ConfigError unless these models read and write the same tokens. Returns the one with
    the shortest context, whose limits texts must keep."""
    if not models:
        raise ConfigError("an ensemble needs at least one model")
    first, *others = models
    if not first.config.has_decoder:
        raise ConfigError(f"{first.folder} is an encoder, which writes nothing")
    for other in others:
        check_same_tokens(first, other, "be averaged")
    return min(models, key=lambda model: model.config.max_positions)


def check_same_tokens(first: LoadedModel, other: LoadedModel, purpose: str) -> None:
    """Raise ConfigError, which names the first difference, unless two models read and write the
    same tokens, framed in the same way."""
    pairs: list[tuple[str, object, object]] = [
        *((name, getattr(first.config, name), getattr(other.config, name)) for name in _FIELDS),
        ("the end token", set(first.generation.end_ids), set(other.generation.end_ids)),
        (
            "what stands around a text",
            first.tokenizer.special_affixes(),
            other.tokenizer.special_affixes(),
        ),
    ]
    if first.config.has_encoder:
        pairs.append(("the decoder's first token", first.decoder_start_id, other.decoder_start_id))
    found = next((f"{name} is {a}, {b}" for name, a, b in pairs if a != b), None)
    found = found or _other_piece(first.tokenizer, other.tokenizer)
    found = found or _other_piece(first.target_tokenizer, other.target_tokenizer)
    if found:
        raise ConfigError(f"{first.folder} and {other.folder} cannot {purpose}: {found}")


def _other_piece(first: Tokenizer, other: Tokenizer) -> str | None:
    """The lowest id that means something else."""
    if first is other:
        return None
    for token_id in range(max(first.largest_id, other.largest_id) + 1):
        one, two = first.token(token_id), other.token(token_id)
        if one != two:
            return f"token {token_id:,} is {one!r}, {two!r}"
    return None


def check_rewinding(loaded: LoadedModel) -> None:
    """Raise ConfigError for a model whose cache cannot take tokens back."""
    make, weight = ATTENTION[loaded.config.attention].cache, loaded.model.embedding.weight
    make(loaded.config, 1, 1, weight[:0]).truncate(0)
