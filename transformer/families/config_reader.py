"""A reader of published config.json files that ignores no option."""

from collections.abc import Mapping
from typing import Any, Protocol

from checkpoints import CheckpointError

_LARGEST = 10**18


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Options that do not change what a network computes, or that belong to decoding.
_NO_EFFECT = _names(
    """architectures attn_implementation chunk_size_feed_forward classif_dropout classifier_dropout
    cross_attention_hidden_size decoder_layerdrop dense_act_fn directionality dtype
    encoder_layerdrop extra_pos_embeddings finetuning_task force_bos_token_to_be_generated
    gradient_checkpointing id2label init_std initializer_factor initializer_range is_encoder_decoder
    is_gated_act label2id max_length max_window_layers model_max_length model_type n_ctx
    num_hidden_layers num_labels output_attentions output_hidden_states output_past pooler_fc_size
    pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head pooler_type
    predict_special_tokens prefix pretraining_tp problem_type return_dict save_step sep_token_id
    summary_activation summary_first_dropout summary_proj_to_labels summary_type summary_use_proj
    task_specific_params tokenizer_class torch_dtype transformers_version unk_token_id use_cache"""
)
_GENERATION = _names(
    """bad_words_ids begin_suppress_tokens bos_token_id decoder_start_token_id diversity_penalty
    do_sample early_stopping encoder_no_repeat_ngram_size encoder_repetition_penalty eos_token_id
    epsilon_cutoff eta_cutoff exponential_decay_length_penalty forced_bos_token_id
    forced_eos_token_id length_penalty max_new_tokens min_length no_repeat_ngram_size
    num_beam_groups num_beams num_return_sequences output_scores pad_token_id
    remove_invalid_values repetition_penalty return_dict_in_generate sequence_bias suppress_tokens
    temperature top_k top_p typical_p"""
)


class TensorNames(Protocol):
    """The interface to a file's tensors that reading its configuration needs."""

    def __contains__(self, name: object, /) -> bool:
        """Return True if there is a tensor of that name."""
        ...

    def equal_values(self, first: str, second: str) -> bool:
        """Return True if two tensors hold the same numbers."""
        ...


class ConfigReader:
    """The options of a config.json; `finish` refuses those that were not read."""

    def __init__(self, fields: Mapping[str, Any], source: str) -> None:
        self.source = source
        self._fields = fields
        self._read: set[str] = set()

    def get(self, name: str, kind: type | tuple[type, ...], default: Any = None) -> Any:
        """Return a value of a type, or the default if it is absent or null."""
        self._read.add(name)
        value = self._fields.get(name)
        if value is None:
            return default
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if isinstance(value, int) and abs(value) > _LARGEST:
            raise self.error(f"{name} is {_shown(value)}; it is too large")
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            allowed = " or ".join(k.__name__ for k in kinds)
            raise self.error(f"{name} is {_shown(value)}; it must be {allowed}")
        return value

    def integer(self, name: str, default: int | None = None) -> int:
        """Return a whole number, which must be there if it has no default."""
        value = self.get(name, int, default)
        if value is None:
            raise self.error(f"{name} is missing")
        return int(value)

    def number(self, name: str, default: float) -> float:
        """Return a number."""
        return float(self.get(name, (int, float), default))

    def flag(self, name: str, default: bool) -> bool:
        """Return True or False."""
        return bool(self.get(name, bool, default))

    def must_be(self, name: str, *allowed: Any) -> None:
        """Refuse all values of an option but these; the first is the value of an absent one."""
        self._read.add(name)
        value = self._fields.get(name)
        value = allowed[0] if value is None else value
        if value not in allowed:
            listing = ", ".join(_shown(a) for a in allowed)
            raise self.error(f"{name} is {_shown(value)}, which is not supported; only: {listing}")

    def choice(self, name: str, table: Mapping[str, str], default: str | None = None) -> str:
        """Return our name for a published one, by a table."""
        value = self.get(name, str, default)
        if value not in table:
            listing = ", ".join(sorted(table))
            raise self.error(f"{name} is {_shown(value)}, which is not supported; only: {listing}")
        return table[value]

    def to_dict(self) -> dict[str, Any]:
        """Return all options as they are, and count them as read."""
        self._read.update(self._fields)
        return dict(self._fields)

    def finish(self) -> None:
        """Raise CheckpointError for an option that was not read and could change the network."""
        for name, value in self._fields.items():
            known = name in self._read or name in _NO_EFFECT or name in _GENERATION
            if known or name.startswith("_") or value in (None, False) or value in ({}, []):
                continue
            raise self.error(
                f"the option {name} = {_shown(value)} is not known, and could change the model; "
                "take it out of the file if it does not"
            )

    def error(self, text: str) -> CheckpointError:
        """Return the exception for a mistake in this file."""
        return CheckpointError(f"{self.source}: {text}")


def is_tied(
    reader: ConfigReader, names: TensorNames, default: bool, output: str, embedding: str
) -> bool:
    """Return True if the output projection is the embedding.

    A file with two different matrices is untied, whatever the option says, as in transformers.
    """
    tied = reader.flag("tie_word_embeddings", default)
    both = output in names and embedding in names
    return tied and not (both and not names.equal_values(output, embedding))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
