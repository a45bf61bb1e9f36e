"""The exported module: everything from upright pixels to answers, for any export of torch.

Pixels of any size go in. Geometry, normalisation, missing views, the network, the prior, the calibration, the answer,
the prediction set, the outlier score and the decision are inside, by the code that training and prediction use.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from obverse.bundle import Bundle
from obverse.data import Batch, Geometry
from obverse.decisions import DECISION, OUTLIER_SCORE, SET, Rules
from obverse.engines import Forward
from obverse.models import Classifier

from .fit import fitted

Fit = Callable[[torch.Tensor, Geometry], torch.Tensor]
PRESENT, COLUMNS = "present", "columns"
PIXELS = "pixels."
"""Prefix of the names of fitted pictures in a graph, before the view's name."""


@dataclass(frozen=True)
class Names:
    """Names of a graph's inputs and outputs, in order."""

    views: tuple[str, ...]
    """Inputs uint8 (N, H, W, 3), in the order of the bundle's views; the sizes of views may differ."""

    more_inputs: tuple[str, ...]
    """`present`, bool (N, V), of models of several views; `columns`, float32 (N, E), where the model sees some."""

    pixels: tuple[str, ...]
    """Fitted pictures inside the graph, uint8 (N, 3, canvas_height, canvas_width), one per view."""

    outputs: tuple[str, ...]

    @classmethod
    def of(cls, bundle: Bundle, classifier: Classifier) -> Names:
        """The names that follow from a bundle."""
        several = len(bundle.views) > 1
        taken = {PRESENT, COLUMNS, *ANSWERS, *RULES, *NUMBERS, *VIEW_OUTPUTS}
        views = tuple(f"view.{view}" if view in taken else view for view in bundle.views)
        more = ((PRESENT,) if several else ()) + ((COLUMNS,) if bundle.columns else ())
        fitted = (bundle.output.sets, bundle.output.acceptance, bundle.output.outliers and bundle.detector)
        rules = tuple(name for name, rule in zip(RULES, fitted, strict=True) if rule is not None)
        outputs = ANSWERS + rules + NUMBERS + VIEW_OUTPUTS[: several + (several and classifier.grades_views)]
        return cls(views, more, tuple(PIXELS + view for view in views), outputs)

    @property
    def inputs(self) -> tuple[str, ...]:
        """All inputs."""
        return self.views + self.more_inputs


ANSWERS = ("probabilities", "answer", "confidence")
RULES = (SET, DECISION, OUTLIER_SCORE)
"""Outputs of models for which these were fitted."""
NUMBERS = ("logits", "embeddings")
VIEW_OUTPUTS = ("view_logits", "view_grades")


class Graph(nn.Module):
    """Module from pictures of any size to answers."""

    def __init__(self, bundle: Bundle, classifier: Classifier, *, fit: Fit = fitted) -> None:
        """fit: the geometry, as an operator that an exporter replaces, or in operators of torch."""
        super().__init__()
        self.classifier, self.fit = classifier, fit
        self.names = Names.of(bundle, classifier).outputs
        # In single precision, as all of the graph: OpenVINO has no other on every processor.
        self.rules = Rules(bundle.output, bundle.detector, torch.float32)
        self.geometry, self.kind = bundle.geometry, bundle.kind
        self.forward_pass = Forward.from_bundle(bundle, torch.device("cpu"))

    def forward(
        self,
        views: tuple[torch.Tensor, ...],
        present_BV: torch.Tensor | None = None,
        columns_BE: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, ...]:
        """The outputs that `Names.outputs` lists, then the fitted pictures of every view.

        views: one uint8 tensor (N, H, W, 3) per view. present_BV: which views each sample has; the pixels of a missing
        view are ignored. columns_BE: codes of the extra columns.
        """
        pixels = [self.fit(view, self.geometry) for view in views]
        answers = self.answers(tuple(pixels), present_BV, columns_BE)
        return (*answers, *pixels)

    def answers(
        self, pixels: tuple[torch.Tensor, ...], present_BV: torch.Tensor | None, columns_BE: torch.Tensor | None
    ) -> tuple[torch.Tensor, ...]:
        """The outputs for fitted pictures, uint8 (N, 3, canvas_height, canvas_width) per view."""
        images_BVCHW = torch.stack(pixels, 1)
        if present_BV is None:
            present_BV = torch.ones(images_BVCHW.shape[:2], dtype=torch.bool)
        else:
            blank = torch.tensor(self.geometry.fill, dtype=torch.uint8)
            images_BVCHW = torch.where(present_BV[:, :, None, None, None], images_BVCHW, blank)
        batch = Batch.unlabelled(images_BVCHW, present_BV, columns_BE=columns_BE)
        given = self.forward_pass.answers(self.classifier, batch, each_view=True)
        probabilities_BK = self.kind.probabilities(given.logits_BK)
        answers = self.kind.decide(probabilities_BK)
        confidence_B = self.kind.confidence(probabilities_BK, answers)
        values = dict(zip(ANSWERS, (probabilities_BK, answers, confidence_B), strict=True))
        values |= self.rules(probabilities_BK, answers, confidence_B, given.embeddings_BD)
        values |= dict(zip(NUMBERS, (given.logits_BK, given.embeddings_BD), strict=True))
        of_views = (torch.stack(rows, 1) for rows in (given.alone_VBK, given.grades_VBK) if rows)
        values |= zip(VIEW_OUTPUTS, of_views, strict=False)
        return tuple(values[name] for name in self.names)
