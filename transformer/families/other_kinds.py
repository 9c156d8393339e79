"""Networks of other kinds than those of the registry, told by the options that only they have."""

from collections.abc import Mapping
from typing import Any

_KINDS = {
    "a model of images": """vision_config image_size patch_size num_channels image_token_id
        image_token_index backbone_config vision_tower mm_vision_tower mm_tokens_per_image""",
    "a model of sound": """audio_config num_mel_bins sampling_rate feat_extract_norm
        feat_extract_activation codebook_size audio_channels""",
    "a mixture of experts": """num_experts num_local_experts n_routed_experts
        num_sparse_encoder_layers moe_intermediate_size moe_num_experts ffn_config""",
    "a state-space or recurrent model": """state_size ssm_cfg d_state mamba_d_state
        attention_hidden_size rescale_every""",
    "two models with configurations of their own": "encoder decoder",
}


def describe_kind(options: Mapping[str, Any]) -> str:
    """Return the kind of network that options describe, or an empty text for a plain one."""
    for kind, names in _KINDS.items():
        if any(options.get(name) not in (None, False, 0, 1) for name in names.split()):
            return kind
    return ""
