"""Adaptation of a network for training: freezing, learning rates, LoRA, checkpointing, synchronised batch norm."""

from .checkpointing import enable_checkpointing
from .freezing import has_folded_norm, prepare, set_trainable
from .groups import parameter_groups, undecayed_names
from .lora import merge_lora, plain_state
from .synced_norm import SyncedBatchNorm, sync_batch_norms

__all__ = [
    "SyncedBatchNorm",
    "enable_checkpointing",
    "has_folded_norm",
    "merge_lora",
    "parameter_groups",
    "plain_state",
    "prepare",
    "set_trainable",
    "sync_batch_norms",
    "undecayed_names",
]
