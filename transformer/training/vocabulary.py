"""A vocabulary that grows: tokens that the model of --init gets before it is trained further."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

import msgspec

from tokenizer import TokenizerError, read_tokenizers
from tokenizer.growing import Growth, GrowthOptions, check_growth, grow_tokenizer
from tokenizer.quantities import format_count

from ..adapters.settings import NO_ADAPTER
from ..config import TransformerConfig
from ..errors import ConfigError
from ..loading import LoadedModel
from ..vocabulary_growth import grow_vocabulary, grown_config
from .recipe import Recipe

_ONE_SCRIPT = 2000  # tokens that are enough for one more script
_LEARNED, _SPECIAL = "--grow-vocabulary", "--special"


def most_grown(init: LoadedModel, recipe: Recipe) -> TransformerConfig:
    """Return the configuration of a model with as many tokens as it may have when it has grown."""
    tokens = max(init.tokenizer.vocab_size, init.tokenizer.largest_id + 1)
    return grown_config(init.config, tokens + recipe.tokenizer.grow)


def with_special_tokens(init: LoadedModel, recipe: Recipe) -> LoadedModel:
    """Return a model that keeps the recipe's special tokens whole; those that it has stay.

    Raises ConfigError for one that cannot get the tokens that the recipe has it learn.
    """
    added = init.tokenizer.backend.get_added_tokens_decoder().values()
    present = {token.content for token in added}
    missing = tuple(token for token in recipe.tokenizer.special if token not in present)
    if not (missing or recipe.tokenizer.grow):
        return init
    if reason := _reason_against(init, recipe):
        raise ConfigError(f"{_LEARNED if recipe.tokenizer.grow else _SPECIAL}: {reason}")
    return _grown(init, recipe, list, GrowthOptions(special=missing))[0] if missing else init


def without_further_tokens(recipe: Recipe) -> Recipe:
    """Return a recipe that leaves the vocabulary of its initial model as it is."""
    tokenizer = msgspec.structs.replace(recipe.tokenizer, grow=0, special=[])
    return msgspec.structs.replace(recipe, tokenizer=tokenizer)


def with_learned_tokens(
    init: LoadedModel, recipe: Recipe, lines: Callable[[], Iterable[str]]
) -> tuple[LoadedModel, str]:
    """Return a model with the tokens that it learns from a text, and a line that tells of them.

    `lines` gives the text anew each time.
    """
    settings = recipe.tokenizer
    options = GrowthOptions(size=settings.grow, min_frequency=settings.min_frequency)
    grown, growth = _grown(init, recipe, lines, options)
    return grown, _described(growth)


def special_remark(init: LoadedModel, recipe: Recipe) -> str | None:
    """Return a line on the recipe's special tokens that a model had not; None if it had all."""
    source = read_tokenizers(init.folder, vocabulary=init.config.source_vocabulary).source
    new = [token for token in recipe.tokenizer.special if source.token_id(token) is None]
    if not new:
        return None
    names = ", ".join(dict.fromkeys(new))
    return f"{format_count(len(new), 'special token')} added to the vocabulary: {names}"


def way_to_grow(init: LoadedModel, recipe: Recipe) -> str:
    """Return what to do where the initial model's tokenizer does not know a text."""
    more = 2 * recipe.tokenizer.grow or _ONE_SCRIPT
    other = "start from a model whose tokenizer knows the script, or without --init"
    if _reason_against(init, recipe):
        return other
    return f"let it learn the script with {_LEARNED} {more}, or {other}"


def check_recipe_of_growth(recipe: Recipe, trained: Collection[str], *, has_init: bool) -> None:
    """Raise ConfigError for tokens that nothing would learn; `trained` are names of parameters."""
    if not recipe.tokenizer.grow:
        return
    if not has_init:
        raise ConfigError(
            f"{_LEARNED}: only with --init, for the model's tokenizer; a new one has "
            "tokenizer.vocab_size tokens"
        )
    if "embedding.weight" not in trained:
        raise ConfigError(
            f"{_LEARNED}: training.freeze has the embedding, which new tokens need trained: leave "
            "it out"
        )


def has_grown(init: LoadedModel, recipe: Recipe) -> bool:
    """Return True for a model whose tokenizer is not that of its folder."""
    if not (recipe.tokenizer.grow or recipe.tokenizer.special):
        return False
    source = read_tokenizers(init.folder, vocabulary=init.config.source_vocabulary).source
    return source.to_json() != init.tokenizer.to_json()


def _reason_against(init: LoadedModel, recipe: Recipe) -> str:
    """Return why a model cannot get tokens that it learns to read and write; "" if it can."""
    if recipe.adapter.kind != NO_ADAPTER:
        return (
            "an adapter leaves embeddings as they are, and new tokens need new ones: train "
            "without --lora"
        )
    if init.target_tokenizer is not init.tokenizer:
        return (
            f"{init.folder} has one tokenizer for what it reads and another for what it writes, "
            "which cannot grow together: start from a model with one"
        )
    try:
        check_growth(init.tokenizer)
    except TokenizerError as error:
        return f"{init.folder}: {error}"
    return ""


def _grown(
    init: LoadedModel,
    recipe: Recipe,
    lines: Callable[[], Iterable[str]],
    options: GrowthOptions,
) -> tuple[LoadedModel, Growth]:
    growth, model = grow_tokenizer(init.tokenizer, lines, options), init.model
    if growth.added:
        model = grow_vocabulary(model, growth.spellings, first_id=growth.first_id, seed=recipe.seed)
    target = None if init.target is None else growth.tokenizer
    return replace(init, model=model, tokenizer=growth.tokenizer, target=target), growth


def _described(growth: Growth) -> str:
    """Return a line on tokens that were learned."""
    if not growth.added:
        return (
            "no tokens added to the vocabulary: the tokenizer spells the words of this text "
            "well, or none of them comes often enough (tokenizer.min_frequency)"
        )
    sizes = f"({growth.first_id:,} → {growth.first_id + growth.added:,})"
    told = f"{format_count(growth.added, 'token')} added to the vocabulary {sizes}"
    if growth.unknown:
        share = growth.unknown / growth.characters
        return f"{told}, for {share:.1%} of the text's characters that it did not know"
    saved = 1 - growth.tokens_left / max(1, growth.tokens)
    return f"{told}, which make the text {saved:.0%} shorter in tokens"
