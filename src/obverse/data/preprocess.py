"""uint8 batches to what a model eats: colour changes and normalisation, fused, on the model's device."""

from __future__ import annotations

import torch

from .mixing import blend

# ITU-R BT.601 luma, as Pillow's grey conversion.
LUMA = (0.299, 0.587, 0.114)


def to_model_input(
    images_BVCHW: torch.Tensor,
    *,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    color_BV3: torch.Tensor | None = None,
    shares_BV5: torch.Tensor | None = None,
) -> torch.Tensor:
    """float32 (B, V, C, H, W), (pixel / 255 - mean) / std, after colour factors, a clamp to [0, 1] and mixing."""
    scaled = images_BVCHW.float().div_(255)
    if color_BV3 is not None:
        scaled = change_color(scaled, color_BV3)
    if shares_BV5 is not None:
        scaled = blend(scaled, shares_BV5)
    mean_C = torch.tensor(mean, device=scaled.device).view(-1, 1, 1)
    std_C = torch.tensor(std, device=scaled.device).view(-1, 1, 1)
    return scaled.sub_(mean_C).div_(std_C)


def change_color(images_BVCHW: torch.Tensor, color_BV3: torch.Tensor) -> torch.Tensor:
    """Brightness, then contrast around the mean grey, then saturation; pictures with factors 1 stay as they are."""
    changed_BV = (color_BV3 != 1).any(-1)
    if not changed_BV.any():
        return images_BVCHW
    pictures = images_BVCHW[changed_BV]
    brightness, contrast, saturation = (f.view(-1, 1, 1, 1) for f in color_BV3[changed_BV].unbind(-1))
    pictures = pictures * brightness
    luma = pictures.new_tensor(LUMA).view(1, 3, 1, 1)
    mean_gray = (pictures * luma).sum(1, keepdim=True).mean((2, 3), keepdim=True)
    pictures = mean_gray + contrast * (pictures - mean_gray)
    gray = (pictures * luma).sum(1, keepdim=True)
    pictures = gray + saturation * (pictures - gray)
    images_BVCHW[changed_BV] = pictures.clamp_(0, 1)
    return images_BVCHW
