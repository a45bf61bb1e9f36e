"""Batches -> logits."""

from .build import InputNeeds, Interface, build_classifier, input_needs, pinned
from .checkpointing import enable_checkpointing
from .classifier import Classifier, feature_size
from .freezing import has_folded_norm, prepare, set_trainable
from .groups import parameter_groups, undecayed_names
from .head import start_bias
from .lora import merge_lora, plain_state
from .present import rows_of
from .synced_norm import SyncedBatchNorm, sync_batch_norms
from .timm_backbone import require_known, why_unavailable

__all__ = [
    "Classifier",
    "InputNeeds",
    "Interface",
    "SyncedBatchNorm",
    "build_classifier",
    "enable_checkpointing",
    "feature_size",
    "has_folded_norm",
    "input_needs",
    "merge_lora",
    "parameter_groups",
    "pinned",
    "plain_state",
    "prepare",
    "require_known",
    "rows_of",
    "set_trainable",
    "start_bias",
    "sync_batch_norms",
    "undecayed_names",
    "why_unavailable",
]
