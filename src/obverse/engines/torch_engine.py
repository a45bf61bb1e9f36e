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
            logits_BK, embeddings_BD, alone, grades = self._answers(batch.to(self.forward.device), each_view)
        truth = batch.labels_B if batch.label_sets_BK is None else batch.label_sets_BK
        return Outputs(
            batch.ids,
            truth.cpu().numpy(),
            _array(logits_BK),
            _array(embeddings_BD if embeddings else embeddings_BD[:, :0]),
            tuple(map(_array, alone)),
            tuple(map(_array, grades)),
        )

    def _answers(
        self, batch: Batch, each_view: bool
    ) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
        """Class logits, embeddings, class logits of each view alone, class logits of each view's own head."""
        model, forward = self.model, self.forward
        num_views = batch.present_BV.shape[1] if each_view else 1
        with forward.autocast():
            features_BVD = model.features(forward.inputs(batch))
            embeddings_BD = model.fuse(features_BVD, batch.present_BV, batch.columns_BE)
            logits_BK = forward.class_logits(model.head(embeddings_BD))
            alone = [
                model.head(model.fuse(features_BVD, batch.only_view(view).present_BV, batch.columns_BE))
                for view in range(num_views if num_views > 1 else 0)
            ]
            grades = list(model.grade_views(features_BVD).unbind(1)) if alone and model.grades_views else []
            alone, grades = (self._of_present(rows, batch) for rows in (alone, grades))
        return logits_BK, embeddings_BD, alone, grades

    def _of_present(self, of_views: list[torch.Tensor], batch: Batch) -> list[torch.Tensor]:
        """Class logits of each view, NaN where it is missing."""
        present_VB1 = batch.present_BV.unbind(1)
        return [
            torch.where(is_here_B[:, None], self.forward.class_logits(logits_BK), torch.nan)
            for logits_BK, is_here_B in zip(of_views, present_VB1, strict=False)
        ]

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
