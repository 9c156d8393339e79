"""A model folder's settings of decoding: generation_config.json, in Hugging Face's names."""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from checkpoints import CheckpointError, read_json
from tokenizer import Tokenizer, TokenizerError

from ..bounds import check_bounds, convert
from ..errors import ConfigError
from ..families import MODEL_TYPE, has_no_effect

GENERATION = "generation_config.json"

# Settings of other programs that are not supported, and their values that have no effect.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "constraints": (),
    "custom_generate": (),
    "diversity_penalty": (0.0,),
    "dola_layers": (),
    "force_words_ids": (),
    "guidance_scale": (1.0,),
    "num_beam_groups": (1,),
    "penalty_alpha": (0.0,),
    "token_healing": (),
    "watermarking_config": (),
}

# Settings of sampling and of the number of answers, which are left to the user, and their values
# with which a model does what it does without them.
_LEFT_TO_THE_USER: dict[str, tuple[Any, ...]] = {
    "do_sample": (False,),
    "temperature": (1.0,),
    "top_k": (0, 50),
    "top_p": (1.0,),
    "min_p": (0.0,),
    "top_h": (1.0,),
    "typical_p": (1.0,),
    "epsilon_cutoff": (0.0,),
    "eta_cutoff": (0.0,),
    "num_return_sequences": (1,),
    "max_time": (),
}

# Settings that do not change the output.
_NO_EFFECT = """assistant_confidence_threshold assistant_early_exit assistant_ensemble_weight
    assistant_lookbehind cache_config cache_implementation compile_config
    continuous_batching_config disable_compile is_assistant is_encoder_decoder low_memory
    max_cache_len max_matching_ngram_size num_assistant_tokens num_assistant_tokens_schedule
    output_attentions output_hidden_states output_logits output_scores prefill_chunk_size
    prompt_lookup_num_tokens remove_invalid_values return_dict_in_generate speculation_type
    target_lookbehind transformers_version use_cache use_mtp"""

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
    max_new_tokens: Annotated[int, Meta(ge=1, le=10**6)] | None = None  # wins over max_length
    min_length: Count | None = None
    min_new_tokens: Count | None = None  # wins over min_length
    no_repeat_ngram_size: Count | None = None
    encoder_no_repeat_ngram_size: Count | None = None
    repetition_penalty: Factor | None = None
    encoder_repetition_penalty: Factor | None = None
    exponential_decay_length_penalty: tuple[Count, Factor] | None = None  # from where, and how fast
    sequence_bias: list[tuple[list[int], Bias]] | None = None
    bad_words_ids: list[list[int]] | None = None
    suppress_tokens: list[int] | None = None
    begin_suppress_tokens: list[int] | None = None
    forced_decoder_ids: list[tuple[Count, int | None]] | None = None  # by position, the start's 0
    stop_strings: str | list[str] | None = None  # a text ends with the first of them
    renormalize_logits: bool | None = None

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
    def stops(self) -> list[str]:
        """The strings with which a text ends."""
        strings = self.stop_strings or []
        return [strings] if isinstance(strings, str) else strings

    @property
    def end_id(self) -> int:
        """The token that is appended to a text to end it."""
        return self.end_ids[0]


_OWN = frozenset(field.name for field in msgspec.structs.fields(GenerationConfig))
SETTING_NAMES = _OWN | _NEUTRAL.keys() | _LEFT_TO_THE_USER.keys() | set(_NO_EFFECT.split())


def default_generation_config(tokenizer: Tokenizer) -> GenerationConfig:
    """Return the settings of a model that is trained here. Raises TokenizerError.

    They are the ids of the tokenizer's special tokens; unknown text is never written.
    """
    return GenerationConfig(**_special_ids(tokenizer), suppress_tokens=_unknown(tokenizer))


def _special_ids(tokenizer: Tokenizer) -> dict[str, Any]:
    begin, end = tokenizer.require_role("begin"), tokenizer.require_role("end")
    pad = tokenizer.role("pad")
    return {
        "bos_token_id": begin,
        "eos_token_id": end,
        "pad_token_id": end if pad is None else pad,
    }


def _unknown(tokenizer: Tokenizer) -> list[int] | None:
    """Return the token of unknown text, if there is one that has no other meaning."""
    unknown = tokenizer.unknown_id
    return None if unknown is None or unknown == tokenizer.role("end") else [unknown]


def read_generation_config(
    folder: Path, options: dict[str, Any], tokenizer: Tokenizer, vocabulary: int
) -> GenerationConfig:
    """Read generation_config.json, or where there is none, config.json's options.

    As in transformers, one file counts as a whole. Only an end and a start, without which no text
    can be written, are taken from config.json, else from the special tokens. Raises CheckpointError
    for unsupported settings, and for tokens outside the vocabulary.
    """
    settings = raw_settings(folder, options)
    _refuse_unknown(settings, folder / GENERATION)
    for name, neutral in _NEUTRAL.items():
        value = settings.get(name)
        if value and value not in neutral:
            raise CheckpointError(f"{folder}: {name} = {value!r} is not supported in decoding")
    own = {name: value for name, value in settings.items() if name in _OWN}
    if options.get("model_type") == MODEL_TYPE:  # also where it was trained before this was written
        own.setdefault("suppress_tokens", _unknown(tokenizer))
    if own.get("suppress_tokens") == []:
        del own["suppress_tokens"]  # none are: it was converted
    if "decoder_start_token_id" not in own and "bos_token_id" not in own:
        own |= _set_options(options, "decoder_start_token_id", "bos_token_id")
    if "eos_token_id" not in own:
        own |= _set_options(options, "eos_token_id") or {**_special(tokenizer, folder), **own}
    try:
        found = convert(own, GenerationConfig, prefix="settings of decoding: ")
    except ConfigError as error:
        raise CheckpointError(f"{folder}: {error}") from None
    _check_ids(found, vocabulary, folder)
    return found


def settings_left_to_user(folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Return a folder's settings of decoding that only a flag sets, where they would matter.

    Raises CheckpointError.
    """
    settings = raw_settings(folder, options)
    return {
        name: settings[name]
        for name, neutral in _LEFT_TO_THE_USER.items()
        if settings.get(name) not in (None, *neutral)
    }


def settings_notices(folder: Path, options: dict[str, Any]) -> tuple[str, ...]:
    """Return a sentence about the settings that only a flag sets, if there are any that matter."""
    left = settings_left_to_user(folder, options)
    listed = ", ".join(f"{name} {value}" for name, value in left.items())
    return (f"the model's own {listed}: left to options such as -t and --top-p",) if left else ()


def raw_settings(folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Return a folder's settings of decoding as they stand in its file, else in config.json.

    Raises CheckpointError.
    """
    path = folder / GENERATION
    if path.exists() or path.is_symlink():
        settings = read_json(path)
    else:
        settings = {name: value for name, value in options.items() if name in SETTING_NAMES}
        if options.get("force_bos_token_to_be_generated"):  # the older name of what it sets
            settings["forced_bos_token_id"] = options.get("bos_token_id")
    return {name: value for name, value in settings.items() if value is not None}


def _set_options(options: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: options[name] for name in names if options.get(name) is not None}


def _refuse_unknown(settings: dict[str, Any], path: Path) -> None:
    """Raise CheckpointError for an unknown option, unless its value has no effect."""
    for name, value in settings.items():
        known = name in SETTING_NAMES or name.startswith("_")
        if not known and not has_no_effect(name, value):
            raise CheckpointError(
                f"{path}: the option {name} = {str(value)[:60]!r} is not known, and could change "
                "the output; take it out of the file if it does not"
            )


def _special(tokenizer: Tokenizer, folder: Path) -> dict[str, Any]:
    try:
        return _special_ids(tokenizer)
    except TokenizerError as error:
        raise CheckpointError(
            f"{folder} does not say which token ends a text (eos_token_id), and {error}"
        ) from None


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
        "forced_decoder_ids": [token for _, token in config.forced_decoder_ids or ()],
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
