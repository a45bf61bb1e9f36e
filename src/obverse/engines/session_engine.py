"""Engine that runs a classifier in another runtime than torch, from its ONNX model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from obverse.data import Batch

from .engine import Needs
from .network import ALONE, COLUMNS, EMBEDDINGS, GRADES, IMAGES, LOGITS, PRESENT
from .outputs import Outputs

Arrays = dict[str, npt.NDArray[Any]]


class Session(Protocol):
    """A model in a runtime: named arrays in, named arrays out. Threads may share one."""

    name: str

    def run(self, inputs: Arrays) -> Arrays:
        """All outputs by name."""


@dataclass(frozen=True, eq=False)
class SessionEngine:
    """A session of a model that `network_onnx` wrote. It runs on the CPU in fp32."""

    session: Session
    needs: Needs

    def outputs(self, batch: Batch, *, each_view: bool = False, embeddings: bool = True) -> Outputs:
        """Outputs for every row of a batch."""
        inputs = {IMAGES: batch.images_BVCHW.cpu().numpy()}
        if self.needs.num_views > 1:
            inputs[PRESENT] = batch.present_BV.cpu().numpy()
        if batch.columns_BE is not None:
            inputs[COLUMNS] = batch.columns_BE.cpu().numpy()
        given = self.session.run(inputs)
        truth = batch.labels_B if batch.label_sets_BK is None else batch.label_sets_BK
        alone, grades = (tuple(given.get(name, ())) if each_view else () for name in (ALONE, GRADES))
        embeddings_ND = given[EMBEDDINGS] if embeddings else np.empty((len(batch), 0), np.float32)
        return Outputs(batch.ids, truth.cpu().numpy(), given[LOGITS], embeddings_ND, alone, grades)

    def close(self) -> None:
        """Nothing to release: the memory belongs to the session."""
