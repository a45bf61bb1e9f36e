"""Forward pass from a batch to class logits: normalisation, number and memory formats, device, output kind.

Training, evaluation and prediction share this object, so that normalisation is written in one place.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from obverse.bundle import Bundle
from obverse.data import Batch, to_model_input
from obverse.decisions import Kind, class_logits, kind_of
from obverse.models import Classifier
from obverse.recipe import OutputSpec
from obverse.runtime import autocast

PLAIN = OutputSpec()


@dataclass(frozen=True)
class Answers:
    """Class logits and embeddings of a batch."""

    logits_BK: torch.Tensor
    embeddings_BD: torch.Tensor

    alone_VBK: list[torch.Tensor]
    """Class logits of the whole model given each view alone, NaN where it is missing; empty for one view."""

    grades_VBK: list[torch.Tensor]
    """Class logits of each view's own head, NaN where the view is missing; empty without such heads."""


@dataclass(frozen=True)
class Forward:
    """Settings of the forward pass."""

    mean: tuple[float, ...]
    """Mean of each channel, for pixels from 0 to 1."""

    std: tuple[float, ...]
    """Standard deviation of each channel, for pixels from 0 to 1."""

    device: torch.device

    precision: str = "fp32"
    """fp32, or autocast to bf16 or fp16."""

    channels_last: bool = False

    output: OutputSpec = PLAIN
    """How the head's logits are converted to class logits and answers."""

    @classmethod
    def from_bundle(
        cls, bundle: Bundle, device: torch.device, *, precision: str = "fp32", channels_last: bool = False
    ) -> Forward:
        """The forward pass of a bundle; by default fp32 in the contiguous memory format, as shipped."""
        return cls(bundle.mean, bundle.std, device, precision, channels_last, bundle.output)

    def autocast(self) -> AbstractContextManager[None]:
        """The autocast context for the model's precision."""
        return autocast(self.device, self.precision)

    def logits(self, model: Classifier, batch: Batch, *, each_view: bool = False) -> torch.Tensor:
        """The head's logits, (B, K) or what the loss asks for, of a batch that is on the device.

        each_view: (B, 1 + V, K), with the logits of every view's own head after those of the model.
        """
        with self.autocast():
            logits: torch.Tensor = model(self.inputs(batch), batch.present_BV, batch.columns_BE, each_view=each_view)
        return logits

    def answers(self, model: Classifier, batch: Batch, *, each_view: bool) -> Answers:
        """Class logits and embeddings of a batch that is on the device.

        each_view: also of every view alone, when there are several. The backbones run once per picture either way.
        """
        num_views = batch.present_BV.shape[1] if each_view else 1
        with self.autocast():
            features_BVD = model.features(self.inputs(batch))
            embeddings_BD = model.fuse(features_BVD, batch.present_BV, batch.columns_BE)
            logits_BK = self.class_logits(model.head(embeddings_BD))
            alone = [
                model.head(model.fuse(features_BVD, batch.only_view(view).present_BV, batch.columns_BE))
                for view in range(num_views if num_views > 1 else 0)
            ]
            grades = list(model.grade_views(features_BVD).unbind(1)) if alone and model.grades_views else []
            return Answers(logits_BK, embeddings_BD, *(self._of_present(rows, batch) for rows in (alone, grades)))

    def _of_present(self, of_views: list[torch.Tensor], batch: Batch) -> list[torch.Tensor]:
        """Class logits of each view, NaN where it is missing."""
        present_VB1 = batch.present_BV.unbind(1)
        return [
            torch.where(is_here_B[:, None], self.class_logits(logits_BK), torch.nan)
            for logits_BK, is_here_B in zip(of_views, present_VB1, strict=False)
        ]

    def class_logits(self, logits: torch.Tensor) -> torch.Tensor:
        """Class logits (B, K) from the head's logits; their softmax is the probability of each class."""
        return class_logits(logits, self.output)

    @property
    def kind(self) -> Kind:
        """The kind of answer: one class or a label set."""
        return kind_of(self.output)

    def leading_class(self, logits: torch.Tensor) -> torch.Tensor:
        """The leading class (B) of each answer, from the head's logits."""
        return self.kind.leading_class(self.class_logits(logits))

    def hits(self, logits: torch.Tensor, targets_BK: torch.Tensor) -> torch.Tensor:
        """Whether each answer (B) is correct: the target's likeliest class, or the complete label set."""
        kind = self.kind
        answers = kind.decide(kind.probabilities(self.class_logits(logits)))
        return kind.is_right(answers, targets_BK)

    def inputs(self, batch: Batch) -> torch.Tensor:
        """Model input, float32 (B, V, C, H, W)."""
        images_BVCHW = to_model_input(
            batch.images_BVCHW,
            mean=self.mean,
            std=self.std,
            color_BV3=batch.color_BV3,
            shares_BV5=batch.shares_BV5,
        )
        return self.layout(images_BVCHW)

    def layout(self, images_BVCHW: torch.Tensor) -> torch.Tensor:
        """The images in the model's memory format, channels last where that is faster."""
        if not self.channels_last:
            return images_BVCHW
        flat = images_BVCHW.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        batch, views = images_BVCHW.shape[:2]
        split: torch.Tensor = flat.unflatten(0, (batch, views))  # type: ignore[no-untyped-call]
        return split
