"""A model folder's settings of decoding: generation_config.json, in Hugging Face's names."""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from checkpoints import CheckpointError, read_json
from tokenizer import Tokenizer, TokenizerError

from ..bounds import check_bounds, convert
from ..errors import ConfigError

GENERATION = "generation_config.json"

# Settings of other programs that are not supported, and their values that have no effect.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "assistant_confidence_threshold": (0.4,),
    "diversity_penalty": (0.0,),
    "force_words_ids": (),
    "constraints": (),
    "guidance_scale": (1.0,),
    "num_beam_groups": (1,),
    "penalty_alpha": (0.0,),
    "top_h": (1.0,),
}

# Settings that are left to the user, mostly of sampling, or that do not change the output.
_NO_EFFECT = """assistant_early_exit assistant_lookbehind cache_config cache_implementation
    compile_config continuous_batching_config disable_compile do_sample epsilon_cutoff eta_cutoff
    is_assistant is_encoder_decoder low_memory max_cache_len max_matching_ngram_size max_new_tokens
    max_time min_p num_assistant_tokens num_assistant_tokens_schedule num_return_sequences
    output_attentions output_hidden_states output_logits output_scores prefill_chunk_size
    prompt_lookup_num_tokens remove_invalid_values renormalize_logits return_dict_in_generate
    speculation_type target_lookbehind temperature top_k top_p transformers_version typical_p
    use_cache use_mtp"""

Count = Annotated[int, Meta(ge=0, le=10**6)]
Factor = Annotated[float, Meta(ge=0.001, le=1000)]
Bias = Annotated[float, Meta(ge=-(10**9), le=10**9)]


class GenerationConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The ids with which decoding starts, ends and pads, and a model's settings of decoding."""

    bos_token_id: int | None = None
    eos_token_id: int | list[int]
    pad_token_id: int | None = None
    decoder_start_token_id: int | None = None
    forced_bos_token_id: int | None = None
    forced_eos_token_id: int | list[int] | None = None
    num_beams: Annotated[int, Meta(ge=1, le=1000)] | None = None
    length_penalty: Annotated[float, Meta(ge=-10, le=10)] | None = None
    early_stopping: bool | Literal["never"] | None = None
    max_length: Annotated[int, Meta(ge=1, le=10**6)] | None = None  # with the start and the end
    min_length: Count | None = None
    no_repeat_ngram_size: Count | None = None
    encoder_no_repeat_ngram_size: Count | None = None
    repetition_penalty: Factor | None = None
    encoder_repetition_penalty: Factor | None = None
    exponential_decay_length_penalty: tuple[Count, Factor] | None = None  # from where, and how fast
    sequence_bias: list[tuple[list[int], Bias]] | None = None
    bad_words_ids: list[list[int]] | None = None
    suppress_tokens: list[int] | None = None
    begin_suppress_tokens: list[int] | None = None

    def __post_init__(self) -> None:
        check_bounds(self)
        if not self.end_ids:
            raise ValueError("eos_token_id is empty; a text must be able to end")

    @property
    def end_ids(self) -> tuple[int, ...]:
        """The tokens that end a text."""
        ends = self.eos_token_id
        return tuple(ends) if isinstance(ends, list) else (ends,)

    @property
    def end_id(self) -> int:
        """The token that is appended to a text to end it."""
        return self.end_ids[0]


_OWN = frozenset(field.name for field in msgspec.structs.fields(GenerationConfig))
SETTING_NAMES = _OWN | _NEUTRAL.keys() | set(_NO_EFFECT.split())


def default_generation_config(tokenizer: Tokenizer) -> GenerationConfig:
    """Return the ids of the tokenizer's special tokens. Raises TokenizerError."""
    begin, end = tokenizer.require_role("begin"), tokenizer.require_role("end")
    pad = tokenizer.role("pad")
    return GenerationConfig(
        bos_token_id=begin, eos_token_id=end, pad_token_id=end if pad is None else pad
    )


def read_generation_config(
    folder: Path, options: dict[str, Any], tokenizer: Tokenizer, vocabulary: int
) -> GenerationConfig:
    """Read generation_config.json, else config.json's options, else use the special tokens.

    Raises CheckpointError for unsupported settings, and for tokens outside the vocabulary.
    """
    path = folder / GENERATION
    own = read_json(path) if path.exists() or path.is_symlink() else {}
    _refuse_unknown(own, path)
    settings = {**options, **own}
    settings = {name: value for name, value in settings.items() if value is not None}
    for name, neutral in _NEUTRAL.items():
        value = settings.get(name)
        if value and value not in neutral:
            raise CheckpointError(f"{folder}: {name} = {value!r} is not supported in decoding")
    own = {name: value for name, value in settings.items() if name in _OWN}
    if "eos_token_id" not in own:
        own = {**_special(tokenizer, folder), **own}
    try:
        found = convert(own, GenerationConfig, prefix="settings of decoding: ")
    except ConfigError as error:
        raise CheckpointError(f"{folder}: {error}") from None
    _check_ids(found, vocabulary, folder)
    return found


def raw_settings(folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Return a folder's settings of decoding as they stand in its file, else in config.json."""
    if (folder / GENERATION).is_file():
        settings = read_json(folder / GENERATION)
    else:
        settings = {name: value for name, value in options.items() if name in SETTING_NAMES}
    return {name: value for name, value in settings.items() if value is not None}


def _refuse_unknown(settings: dict[str, Any], path: Path) -> None:
    """Raise CheckpointError for an unknown option, unless its value has no effect."""
    for name, value in settings.items():
        known = name in SETTING_NAMES or name.startswith("_")
        if not known and value not in (None, False, {}, []):
            raise CheckpointError(
                f"{path}: the option {name} = {str(value)[:60]!r} is not known, and could change "
                "the output; take it out of the file if it does not"
            )


def _special(tokenizer: Tokenizer, folder: Path) -> dict[str, Any]:
    try:
        fields: dict[str, Any] = msgspec.to_builtins(default_generation_config(tokenizer))
    except TokenizerError as error:
        raise CheckpointError(
            f"{folder} does not say which token ends a text (eos_token_id), and {error}"
        ) from None
    return {name: value for name, value in fields.items() if value is not None}


def _check_ids(config: GenerationConfig, vocabulary: int, folder: Path) -> None:
    last, words = config.forced_eos_token_id, config.bad_words_ids or []
    biased = [sequence for sequence, _ in config.sequence_bias or []]
    for name, sequences in {"bad_words_ids": words, "sequence_bias": biased}.items():
        if not all(sequences):
            raise CheckpointError(f"{folder}: {name} has a sequence without tokens")
    ids = {
        "eos_token_id": config.end_ids,
        "decoder_start_token_id": (config.decoder_start_token_id,),
        "forced_bos_token_id": (config.forced_bos_token_id,),
        "forced_eos_token_id": last if isinstance(last, list) else (last,),
        "suppress_tokens": config.suppress_tokens or (),
        "begin_suppress_tokens": config.begin_suppress_tokens or (),
        "bad_words_ids": [token for word in words for token in word],
        "sequence_bias": [token for sequence in biased for token in sequence],
    }
    for name, values in ids.items():
        for value in values:
            if value is not None and not 0 <= value < vocabulary:
                raise CheckpointError(
                    f"{folder}: {name} is {value}; the vocabulary has {vocabulary:,} tokens"
                )
    never = {*ids["suppress_tokens"], *ids["begin_suppress_tokens"]}
    if len(never | {word[0] for word in words if len(word) == 1}) == vocabulary:
        raise CheckpointError(f"{folder}: suppress_tokens and the like leave no token to write")
