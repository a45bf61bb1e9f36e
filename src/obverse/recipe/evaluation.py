"""What is reported after training."""

from __future__ import annotations

from .spec import PositiveInt, Spec


class EvaluationSpec(Spec):
    """batch_size: samples per forward pass in evaluation. embeddings: also write `embeddings.npy`."""

    batch_size: PositiveInt = 64
    embeddings: bool = True
