"""Engine that runs a classifier with torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from obverse.bundle import Bundle
from obverse.data import Batch
from obverse.models import Classifier

from .engine import Needs
from .forward import Forward
from .outputs import Outputs


@dataclass(frozen=True, eq=False)
class TorchEngine:
    """A classifier in evaluation mode with its forward pass."""

    model: Classifier
    forward: Forward
    needs: Needs

    @classmethod
    def from_bundle(
        cls,
        bundle: Bundle,
        model: Classifier,
        *,
        device: torch.device,
        precision: str = "fp32",
        channels_last: bool = False,
    ) -> TorchEngine:
        """The classifier of a bundle on a device, in evaluation mode; by default as it ships, in fp32."""
        forward = Forward.from_bundle(bundle, device, precision=precision, channels_last=channels_last)
        model.to(device).eval()
        if channels_last:
            model.to(memory_format=torch.channels_last)
        return cls(model, forward, Needs.of(bundle))

    def outputs(self, batch: Batch, *, each_view: bool = False, embeddings: bool = True) -> Outputs:
        """Outputs for every row of a batch."""
        # The owner sets the mode: setting it here would change it under another thread, or under training.
        assert not self.model.training, "an engine's model is in evaluation mode"
        # Not inference mode, because FSDP gathers weights here that training uses later.
        with torch.no_grad():
            answers = self.forward.answers(self.model, batch.to(self.forward.device), each_view=each_view)
        truth = batch.labels_B if batch.label_sets_BK is None else batch.label_sets_BK
        return Outputs(
            batch.ids,
            truth.cpu().numpy(),
            _array(answers.logits_BK),
            _array(answers.embeddings_BD if embeddings else answers.embeddings_BD[:, :0]),
            tuple(map(_array, answers.alone_VBK)),
            tuple(map(_array, answers.grades_VBK)),
        )

    def close(self) -> None:
        """Nothing to release: the memory belongs to the model."""


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Context with the model in evaluation mode; its previous mode is restored."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def _array(rows: torch.Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    array: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = rows.float().cpu().numpy()
    return array
