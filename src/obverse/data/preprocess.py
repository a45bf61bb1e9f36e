"""Model input from uint8 pixels: colour jitter, normalisation and mixing, for a whole batch, on the model's device.

Few passes over the pixels, because each costs as much as cropping the picture did. No matrix product, because the
number formats of the model (TF32, bf16) would round pixels.
"""

from __future__ import annotations

import torch

from obverse.data.augmentation.mixing import blend

# ITU-R BT.601 luma, as Pillow's grey conversion.
LUMA = (0.299, 0.587, 0.114)
WHITE = 255.0


def to_model_input(
    images_BVCHW: torch.Tensor,
    *,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    color_BV3: torch.Tensor | None = None,
    shares_BV5: torch.Tensor | None = None,
) -> torch.Tensor:
    """Model input, float32 (B, V, C, H, W): colour factors, clamp to [0, 255], mixing, (pixel / 255 - mean) / std."""
    pixels = images_BVCHW.to(torch.float32, copy=True)
    if color_BV3 is not None:
        pixels = change_color(pixels, color_BV3)
    mean_C11 = torch.tensor(mean, device=pixels.device).view(-1, 1, 1)
    std_C11 = torch.tensor(std, device=pixels.device).view(-1, 1, 1)
    pixels.mul_(1 / (WHITE * std_C11)).sub_(mean_C11 / std_C11)
    return pixels if shares_BV5 is None else blend(pixels, shares_BV5)


def change_color(pixels_BVCHW: torch.Tensor, color_BV3: torch.Tensor, *, white: float = WHITE) -> torch.Tensor:
    """Colour jitter in place: brightness, then contrast around the mean grey, then saturation.

    The three are linear, so together they are one multiple of the picture plus one grey plane. Factors of 1 keep every
    bit.
    """
    brightness, contrast, saturation = (f[..., None, None, None] for f in color_BV3.unbind(-1))
    red, green, blue = (pixels_BVCHW[:, :, channel : channel + 1] for channel in range(3))
    gray_BV1HW = (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])
    mean_gray = gray_BV1HW.mean((-2, -1), keepdim=True)
    plane_BV1HW = gray_BV1HW.mul_((1 - saturation) * contrast * brightness).add_(
        (1 - contrast) * brightness * mean_gray
    )
    return pixels_BVCHW.mul_(saturation * contrast * brightness).add_(plane_BV1HW).clamp_(0, white)
