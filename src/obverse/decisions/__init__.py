"""From the head's logits to class logits, probabilities and answers: of tensors, and the same of numpy arrays."""

from .arrays import decide_array, require_numbers, softmax, to_probabilities
from .logits import build_output, class_logits, decide, decide_sets, probabilities, training_prior
from .targets import hard_targets, label_targets

__all__ = [
    "build_output",
    "class_logits",
    "decide",
    "decide_array",
    "decide_sets",
    "hard_targets",
    "label_targets",
    "probabilities",
    "require_numbers",
    "softmax",
    "to_probabilities",
    "training_prior",
]
