"""Models: classifiers from batches of pictures to logits."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
from .build import Interface, build_classifier, input_needs, licence_note, pinned, weights_licence
from .classifier import Classifier, feature_size
from .columns import ColumnEncoder
from .compiling import compile_model, run_eagerly
from .head import start_bias
from .present import rows_of
from .weights.hub import is_cached, why_unavailable
from .weights.weight_files import one_line, unpickled

if TYPE_CHECKING:
    from .backbones.timm_backbone import require_known
    from .recognition import Candidate, Recognised, candidates, recognise

__all__ = [
    "Candidate",
    "Classifier",
    "ColumnEncoder",
    "InputNeeds",
    "Interface",
    "Recognised",
    "SyncedBatchNorm",
    "build_classifier",
    "candidates",
    "compile_model",
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
    "run_eagerly",
    "set_trainable",
    "start_bias",
    "sync_batch_norms",
    "undecayed_names",
    "unpickled",
    "weights_licence",
    "why_unavailable",
]

# They need timm and torchvision, whose import takes two seconds that a model of our own need not wait for.
LATE = {
    "Candidate": "recognition",
    "Recognised": "recognition",
    "candidates": "recognition",
    "recognise": "recognition",
    "require_known": "backbones.timm_backbone",
}


def __getattr__(name: str) -> Any:
    if name not in LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{LATE[name]}", __name__), name)
