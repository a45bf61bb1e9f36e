"""Models: classifiers from batches of pictures to logits."""

from .adapt import (
    SyncedBatchNorm,
    enable_checkpointing,
    has_folded_norm,
    merge_lora,
    parameter_groups,
    plain_state,
    prepare,
    set_trainable,
    sync_batch_norms,
    undecayed_names,
)
from .backbones.network import InputNeeds
from .backbones.timm_backbone import require_known, why_unavailable
from .build import Interface, build_classifier, input_needs, licence_note, pinned, weights_licence
from .classifier import Classifier, feature_size
from .columns import ColumnEncoder
from .head import start_bias
from .present import rows_of
from .recognition import Candidate, Recognised, budget_of, candidates, is_cached, recognise
from .weights.weight_files import one_line, unpickled

__all__ = [
    "Candidate",
    "Classifier",
    "ColumnEncoder",
    "InputNeeds",
    "Interface",
    "Recognised",
    "SyncedBatchNorm",
    "budget_of",
    "build_classifier",
    "candidates",
    "enable_checkpointing",
    "feature_size",
    "has_folded_norm",
    "input_needs",
    "is_cached",
    "licence_note",
    "merge_lora",
    "one_line",
    "parameter_groups",
    "pinned",
    "plain_state",
    "prepare",
    "recognise",
    "require_known",
    "rows_of",
    "set_trainable",
    "start_bias",
    "sync_batch_norms",
    "undecayed_names",
    "unpickled",
    "weights_licence",
    "why_unavailable",
]
