"""Options of a config.json that do not change what a network computes.

They are told by the kind of their name, and of their value where the name alone would not do: an
unknown number or an unknown name of a variant is never among them. Nor is an unknown False, which
may be the very change (`rms_norm`, `use_bias`): only options that are False where a file does not
have them may be. Null is no value.
"""

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _is_text(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list) and all(isinstance(item, str) for item in value)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_text_or_number(value: Any) -> bool:
    return _is_text(value) or _is_number(value)


def _is_anything(_value: Any) -> bool:
    return True


# Options of transformers and of its predecessors, one by one.
_KNOWN = _names(
    """architectures chunk_size_feed_forward classif_dropout cross_attention_hidden_size
    custom_pipelines directionality extra_pos_embeddings finetuning_task gradient_checkpointing
    id2label is_encoder_decoder is_llama_config keys_to_ignore_at_inference label2id
    max_window_layers model_type num_labels output_past pooler_fc_size
    pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head pooler_type
    predict_special_tokens prefix pretraining_tp problem_type save_step summary_activation
    summary_proj_to_labels summary_type summary_use_proj task_specific_params torchscript
    use_cache cache_implementation"""
)

# Options that are False, or empty, in all models that do not say otherwise: what is not there.
OFF_BY_DEFAULT = _names(
    # In transformers, by the classes of its text models; a test compares them.
    """apply_residual_connection_post_layernorm enable_moe_block is_moe mup_enabled
    new_decoder_architecture onnx_export quant_mode reorder_and_upcast_attn rescale_embeddings
    rotary_value scale_attn_by_inverse_layer_idx sinusoidal_pos_embds use_bidirectional_attention
    use_bottleneck_attention use_double_wide_mlp use_long_context use_mambapy use_mem_rope
    use_sliding_window use_task_id use_weighted_layer_sum """
    # In all of its models until version 4.
    """add_cross_attention is_decoder pruned_heads tie_encoder_decoder """
    # Code, quantization and adapters, which are refused if there are any.
    """adapters auto_map compression_config quantization quantization_config use_adapter use_lora
    use_peft """
    # Parts that no family here has, under their names in other programs.
    """qk_layernorm qk_norm rope_interleaved use_moe use_qk_norm """
    # How a model was fetched.
    "from_flax from_tf trust_remote_code use_auth_token"
)

# Options of decoding, which are read where there is no generation_config.json.
GENERATION_OPTIONS = _names(
    """bad_words_ids begin_suppress_tokens bos_token_id decoder_start_token_id diversity_penalty
    do_sample early_stopping encoder_no_repeat_ngram_size encoder_repetition_penalty eos_token_id
    epsilon_cutoff eta_cutoff exponential_decay_length_penalty force_bos_token_to_be_generated
    forced_bos_token_id forced_decoder_ids forced_eos_token_id guidance_scale length_penalty
    max_length max_new_tokens max_time min_length min_new_tokens min_p no_repeat_ngram_size
    num_beam_groups num_beams num_return_sequences pad_token_id penalty_alpha
    remove_invalid_values renormalize_logits repetition_penalty return_dict_in_generate
    sequence_bias stop_strings suppress_tokens temperature token_healing top_h top_k top_p
    typical_p"""
)

# Kinds of options: patterns of their names, and the values that are of that kind.
_KINDS: tuple[tuple[str, Callable[[Any], bool]], ...] = (
    # Provenance: who made the file, when, from what and with which program.
    ("_* unsloth_* mergekit_* transformers.js_config metadata provenance", _is_anything),
    ("version *_version *_revision", _is_text_or_number),
    (
        """author authors *_author model_name name_or_path *_name_or_path *_path *_file *_dir
        description license licence citation url *_url homepage date *_date created_at commit
        *_commit *_commit_hash base_model base_model_name parent_model model_id *_repo *_repo_id
        *_sha256 language languages tags task domain dataset datasets dataset_name run_name""",
        _is_text,
    ),
    # What only training uses.
    (
        """*dropout *dropout_prob *dropout_rate *dropout_p *_pdrop *layerdrop *layer_drop
        initializer_* init_std *_init_std label_smoothing *label_smoothing_factor *_loss_coef
        *_loss_weight learning_rate weight_decay warmup_steps""",
        lambda value: _is_number(value) or value is False,
    ),
    ("use_gradient_checkpointing", _is_anything),
    ("freeze_* reset_attention_mask reset_position_ids", _is_flag),
    ("loss_type", _is_text),
    # The precision and the kernels with which it was computed, and what a call returns.
    ("dtype *_dtype attn_implementation", _is_text),
    (
        """output_* return_dict* use_return_dict fp16 bf16 use_bfloat16 use_flash_attn
        use_flash_attention use_flash_attention_2 use_sdpa use_memory_efficient_attention
        use_xformers tf_legacy_loss fused_* use_fused_*""",
        _is_flag,
    ),
    # The tokenizer: its special tokens, and how many tokens a text may have.
    ("*_token_id *_token_index", _is_number),
    ("*_token", _is_text),
    ("tokenizer_*", _is_text_or_number),
    ("do_basic_tokenize do_lower_case strip_accents tokenize_chinese_chars", _is_flag),
    (
        """max_sequence_length max_seq_length max_seq_len seq_length seq_len n_ctx model_max_length
        original_max_position_embeddings n_special pad_vocab_size_multiple pad_to_multiple_of""",
        _is_number,
    ),
)
_PATTERNS = tuple((pattern, is_kind) for names, is_kind in _KINDS for pattern in names.split())


def has_no_effect(name: str, value: Any) -> bool:
    """Return True for an option that does not change what a network computes."""
    if value is None or (name in OFF_BY_DEFAULT and (value is False or value in ({}, []))):
        return True
    if name in _KNOWN or name in GENERATION_OPTIONS:
        return True
    return any(fnmatchcase(name, pattern) and is_kind(value) for pattern, is_kind in _PATTERNS)
