"""Which options of a library's constructor a recipe or a bundle may set: those that decide an architecture.

A list of what is allowed, because the constructors also take paths to load, addresses to fetch from and switches that
change what they return (`checkpoint_path`, `pretrained_cfg`, `features_only` ...), and every release may add some.
Numbers have limits, so that a stranger's file cannot ask for a network that takes hours to build.
"""

from __future__ import annotations

import math
import re
from typing import Any

MAX_LAYERS = 1000
MAX_NUMBER = 65_536
# Of a configuration of Transformers, whose numbers count other things, too (a vocabulary, the places of a table).
MAX_CONFIG_NUMBER = 2**31
MAX_CONFIG_DEPTH = 8
# A number under such a name says how often something is built.
_REPEATED = re.compile(r"depth|layers|blocks|stages|repeat")
_WORD = re.compile(r"[\w.\-]{0,64}")

_TIMM = """
aa_layer act_layer attn_drop_rate attn_layer attn_mlp_ratio attn_ratio avg_down base_dim base_width
block_reduce_first block_size bn_eps bn_momentum bn_size bottle_ratio cardinality ch_div class_token conv_bias
conv_mlp cross_attn cls_attn_layers cls_ratio deepen_factor default_img_size depth depth_mult dim distilled
downsample_padding drop_block_rate drop_path_rate drop_rate dynamic_img_pad dynamic_img_size embed_dim
embed_norm_layer expand_ratio expansion_ratio fc_norm final_norm fix_init fix_stem fix_group_width global_pool
group_size groups growth_rate head_bias head_conv head_dim head_dropout head_hidden_size head_init_scale
head_norm_first hidden_dim img_size in_dim init_channels init_values input_3x3 kernel_size layer_scale
layer_scale_init_value ls_init_value locality_strength local_up_to_layer max_sr memory_efficient mlp_bias
mlp_layer mlp_ratio no_embed_class norm_eps norm_layer num_blocks num_features num_heads num_init_features
num_kv_heads num_reg_tokens output_stride pad_type partial_dim patch_kernel patch_norm patch_size patch_stride
pool_include_prefix pool_size pool_type pos_drop_rate pos_embed post_norm preact pre_norm proj_bias
proj_drop_rate qk_norm qk_scale qkv_bias qkv_fused reg_tokens rel_pos_type replace_stem_pool rope_type
round_chs_fn scale_attn_norm scale_mlp_norm se_from_exp se_layer se_ratio shared_rel_pos small_kernels stem_bias
stem_chs stem_conv stem_kernel_size stem_size stem_stride stem_type stem_width stride swiglu_mlp use_abs_pos
use_abs_pos_emb use_checkpoint use_fc_norm use_grn use_layer_scale use_mlp_head use_post_norm
use_pre_transformer_norm use_rel_pos use_rel_pos_bias use_rope use_shared_rel_pos_bias weight_init width
width_factor width_mult window_ratio window_size zero_init_last
"""
TIMM_OPTIONS = frozenset(_TIMM.split())
_TORCHVISION = """
alpha attention_dropout aux_logits bn_size drop_rate dropout embed_dim expansion_ratio groups growth_rate
head_dim hidden_dim init_weights last_channel layer_scale memory_efficient mlp_dim mlp_dropout mlp_ratio
num_heads num_init_features num_layers partition_size patch_size reduced_tail representation_size round_nearest
squeeze_ratio stem_channels stem_width stochastic_depth_prob transform_input width_mult width_per_group
zero_init_residual
"""
TORCHVISION_OPTIONS = frozenset(_TORCHVISION.split())
# Of a configuration of Transformers: what loads, fetches or runs something, or makes another precision of it.
_IGNORED = """
_attn_implementation _attn_implementation_internal _commit_hash attn_implementation auto_map backbone_kwargs
code_revision custom_pipelines dtype quantization_config torch_dtype trust_remote_code use_kernels
use_pretrained_backbone
"""
CONFIG_IGNORED = frozenset(_IGNORED.split())


def require_options(options: dict[str, Any], known: frozenset[str], library: str) -> None:
    """ValueError for an option that is none of the architecture's, or that is out of all bounds."""
    for name, value in options.items():
        if name not in known:
            raise ValueError(f"`{name}` is no option of {library} that a recipe or a bundle can set; those that decide "
                             "the architecture can, such as depth, embed_dim or patch_size")  # fmt: skip
        _require_in_bounds(name, value, MAX_NUMBER)
        if isinstance(value, int | float) and value < 0:  # some are built, and fail at the first picture
            raise ValueError(f"`{name}` is {value}; no option of an architecture is negative")


def require_config(values: Any, name: str = "config", depth: int = 0) -> None:
    """ValueError for a configuration of Transformers that is out of all bounds."""
    if depth > MAX_CONFIG_DEPTH:
        raise ValueError(f"config is nested deeper than {MAX_CONFIG_DEPTH} levels")
    if isinstance(values, dict | list | tuple):
        pairs = values.items() if isinstance(values, dict) else ((name, value) for value in values)
        for key, value in pairs:
            require_config(value, str(key), depth + 1)
    elif not isinstance(values, str):
        _require_in_bounds(name, values, MAX_CONFIG_NUMBER)


def _require_in_bounds(name: str, value: Any, limit: int) -> None:
    if isinstance(value, str):
        if not _WORD.fullmatch(value):
            raise ValueError(f"`{name}` is {value[:80]!r}, which is no word")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        limit = MAX_LAYERS if _REPEATED.search(name) and isinstance(value, int) else limit
        # In this order: an integer beyond a float's range cannot be asked whether it is finite.
        if abs(value) > limit or not math.isfinite(value):
            raise ValueError(f"`{name}` is {str(value)[:80]}; at most {limit:,} can be built")
