"""What is reported after training."""

from __future__ import annotations

from .spec import NonNegativeInt, PositiveInt, Spec


class EvaluationSpec(Spec):
    """What is measured and reported after training."""

    batch_size: PositiveInt = 64
    """Samples per forward pass in evaluation. It changes speed and memory, not what is measured."""

    embeddings: bool = True
    """Whether `embeddings.npy`, the fused features of every sample, is written beside the predictions."""

    maps: NonNegativeInt = 8
    """Number of samples for which the report shows where the model looks; half of them are the most confident mistakes.
    0 is none."""
