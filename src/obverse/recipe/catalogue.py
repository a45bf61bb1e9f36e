"""Catalogue of pretrained backbones: the candidates of `auto` and of a comparison, with size, licence and short name.

All are models of timm. Licence and size are those of timm's own configuration, which a test compares. The licence is
that of the weights; data that they were trained on may have terms of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .licences import PERMISSIVE

Budget = Literal["cpu", "gpu"]


@dataclass(frozen=True)
class Pretrained:
    """A pretrained backbone of the catalogue."""

    name: str
    """Name in timm; the tag behind the dot says which weights, because timm's default tag of a name may change."""

    alias: str
    """Short name, for `--model` and `model.backbone.name`."""

    licence: str
    """Licence of the weights, as timm writes it."""

    millions: float
    """Parameters without classifier, in millions."""

    side: int
    """Side of the square pictures that the weights were trained on, in pixels."""

    budget: Budget
    """Smallest machine on which fine-tuning takes minutes for a few thousand pictures: `cpu` or `gpu`."""


# Within a budget the first one is preferred; `docs/explanation/defaults.md` says why.
# fmt: off
CATALOGUE = (
    Pretrained("mobilenetv4_conv_medium.e500_r224_in1k", "mobilenetv4-medium", "apache-2.0", 8.4, 224, "cpu"),
    Pretrained("resnet18.a1_in1k", "resnet-18", "apache-2.0", 11.2, 224, "cpu"),
    Pretrained("mobilenetv4_conv_small.e2400_r224_in1k", "mobilenetv4-small", "apache-2.0", 2.5, 224, "cpu"),
    Pretrained("tiny_vit_5m_224.dist_in22k_ft_in1k", "tiny-vit-5m", "apache-2.0", 5.1, 224, "cpu"),
    Pretrained("vit_tiny_patch16_224.augreg_in21k_ft_in1k", "vit-tiny", "apache-2.0", 5.5, 224, "cpu"),
    Pretrained("convnext_tiny.in12k_ft_in1k", "convnext-tiny", "apache-2.0", 27.8, 224, "gpu"),
    Pretrained("tiny_vit_21m_224.dist_in22k_ft_in1k", "tiny-vit", "apache-2.0", 20.6, 224, "gpu"),
    Pretrained("resnet50.a1_in1k", "resnet-50", "apache-2.0", 23.5, 224, "gpu"),
    Pretrained("vit_small_patch14_dinov2.lvd142m", "dinov2-small", "apache-2.0", 22.1, 518, "gpu"),
    Pretrained("vit_small_patch16_224.augreg_in21k_ft_in1k", "vit-small", "apache-2.0", 21.7, 224, "gpu"),
    Pretrained("eva02_small_patch14_224.mim_in22k", "eva02-small", "mit", 21.6, 224, "gpu"),
    Pretrained("vit_base_patch16_siglip_224.v2_webli", "siglip2-base", "apache-2.0", 92.9, 224, "gpu"),
    Pretrained("vit_base_patch14_dinov2.lvd142m", "dinov2-base", "apache-2.0", 86.6, 518, "gpu"),
    Pretrained("vit_base_patch16_224.augreg2_in21k_ft_in1k", "vit-base", "apache-2.0", 85.8, 224, "gpu"),
    Pretrained("vit_large_patch16_224.augreg_in21k_ft_in1k", "vit-large", "apache-2.0", 303.3, 224, "gpu"),
    Pretrained("vit_small_patch16_dinov3.lvd1689m", "dinov3-small", "dinov3-license", 21.6, 256, "gpu"),
    Pretrained("vit_base_patch16_dinov3.lvd1689m", "dinov3-base", "dinov3-license", 85.6, 256, "gpu"),
    Pretrained("convnextv2_nano.fcmae_ft_in22k_in1k", "convnextv2-nano", "cc-by-nc-4.0", 15.0, 224, "gpu"),
    Pretrained("convnextv2_tiny.fcmae_ft_in22k_in1k", "convnextv2-tiny", "cc-by-nc-4.0", 27.9, 224, "gpu"),
)
# fmt: on
ALIASES = {entry.alias: entry.name for entry in CATALOGUE}


def budget_of(device: str) -> Budget:
    """Budget of a kind of device: `gpu` for cuda."""
    return "gpu" if device == "cuda" else "cpu"


def within(budget: Budget) -> tuple[Pretrained, ...]:
    """The entries that `auto` may take for a kind of machine, best first; licences that restrict use are left out."""
    return tuple(entry for entry in CATALOGUE if entry.budget == budget and entry.licence in PERMISSIVE)
