"""Application of a fitted calibration to class logits, and its inverse."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from obverse.recipe import CalibrationSpec


def calibrated(class_logits: torch.Tensor, spec: CalibrationSpec | None) -> torch.Tensor:
    """Calibrated class logits (.., K): each multiplied by its scale and shifted. None leaves them as they are."""
    if spec is None:
        return class_logits
    scaled = class_logits * torch.tensor(spec.scale, device=class_logits.device)
    return scaled + torch.tensor(spec.shift, device=class_logits.device) if spec.shift else scaled


def uncalibrated(logits_NK: npt.NDArray[np.float32], spec: CalibrationSpec) -> npt.NDArray[np.float32]:
    """The class logits (N, K) that `calibrated` was given."""
    shift = np.array(spec.shift or (0.0,), np.float32)
    return ((logits_NK - shift) / np.array(spec.scale, np.float32)).astype(np.float32)
