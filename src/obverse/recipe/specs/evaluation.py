"""What is reported after training."""

from __future__ import annotations

from .spec import NonNegativeInt, PositiveInt, Spec


class EvaluationSpec(Spec):
    """batch_size: samples per forward pass in evaluation. embeddings: also write `embeddings.npy`.

    maps: of how many samples the report shows where the model looks; half of them are the surest mistakes.
    """

    batch_size: PositiveInt = 64
    embeddings: bool = True
    maps: NonNegativeInt = 8
