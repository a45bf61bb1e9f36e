"""Weights as timm loads them: one network of timm with a linear classifier, prior and calibration folded into it.

    config.json          architecture, class names, size and normalisation
    model.safetensors    tensors under timm's names

`timm.create_model("hf-hub:OWNER/NAME", pretrained=True)` reads both, and so does `local-dir:FOLDER`. The softmax of its
logits (for label sets the sigmoid) are the bundle's probabilities.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save
from torch import nn

from obverse.bundle import Bundle
from obverse.export import fold_output
from obverse.files import write_whole
from obverse.models import Classifier
from obverse.recipe import TimmBackbone

LOGITS_TOLERANCE = 1e-4
CROP_MODES = {"pad": "border", "squash": "squash", "crop": "center"}
# What timm's constructors raise for options that they do not take, and torch for tensors that do not fit.
REFUSALS = (TypeError, ValueError, AssertionError, LookupError, RuntimeError)


def write_timm(folder: Path, bundle: Bundle, classifier: Classifier) -> str:
    """Write the two files into `folder`; instead, the reason why timm cannot load this model, as a clause.

    classifier: in evaluation mode, on the CPU. Empty: the files are written, and timm's logits were compared.
    """
    reason = _unlike_timm(bundle)
    if reason:
        return reason
    _, weights = fold_output(bundle, classifier)
    try:
        net, arguments = _timm_network(bundle, classifier)
        state = _under_timm_names(net, weights)
        if state is None:
            return "timm gives this network a classifier that is more than one linear layer"
        net.load_state_dict(state)
    except REFUSALS:
        return "timm does not build this network with these options"
    folded = bundle.build().eval()
    folded.load_state_dict(weights)
    if not _same_logits(net.eval(), folded, bundle):
        return "timm's network gives other logits"
    write_whole(folder / "model.safetensors", save({name: tensor.contiguous() for name, tensor in state.items()}))
    text = json.dumps(_config(bundle, net, arguments), indent=2, ensure_ascii=False) + "\n"
    write_whole(folder / "config.json", text.encode("utf-8", "backslashreplace"))
    return ""


def _unlike_timm(bundle: Bundle) -> str:
    """Why a single network of timm does not express the model; empty where it may."""
    model = bundle.model
    checks = {
        "it is an ensemble": bool(bundle.members),
        "its network is not one of timm's": not isinstance(model.backbone, TimmBackbone),
        "it looks at several views": len(bundle.views) > 1,
        "it sees extra columns": bool(bundle.columns),
        "its head has hidden layers": bool(model.head.hidden),
        "its head does not give one logit per class": bundle.output.kind not in ("classes", "binary"),
        "it has a head per view": bundle.output.per_view or model.view_heads is not None,
    }
    return next((reason for reason, holds in checks.items() if holds), "")


def _timm_network(bundle: Bundle, classifier: Classifier) -> tuple[nn.Module, dict[str, Any]]:
    """timm's network with a classifier, and the arguments that build it again."""
    backbone = bundle.model.backbone
    assert isinstance(backbone, TimmBackbone)
    arguments: dict[str, Any] = dict(backbone.options)
    if classifier.backbones[0].pretrained_cfg.get("fixed_input_size"):  # type: ignore[union-attr, operator]
        arguments["img_size"] = [bundle.geometry.canvas_height, bundle.geometry.canvas_width]
    name = backbone.name.partition(".")[0]
    return timm.create_model(name, num_classes=len(bundle.classes), **arguments), arguments


def _under_timm_names(net: nn.Module, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor] | None:
    """The weights of `net`; None where its classifier is not a weight and a bias."""
    prefix, heads = "backbones.0.", {name for name in weights if name.startswith("head.")}
    own = net.state_dict()
    state = {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
    further = {name.rpartition(".")[2]: name for name in own if name not in state}
    if set(further) != {"weight", "bias"} or len(own) != len(state) + 2 or len(heads) != 2:
        return None
    for name in heads:  # a classifier may be a convolution of 1x1
        timm_name = further[name.rpartition(".")[2]]
        state[timm_name] = weights[name].reshape(own[timm_name].shape)
    return state


@torch.no_grad()
def _same_logits(net: nn.Module, classifier: Classifier, bundle: Bundle) -> bool:
    """Whether both networks give the same logits on noise."""
    size = (bundle.geometry.canvas_height, bundle.geometry.canvas_width)
    images_BCHW = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    logits_BK = classifier(images_BCHW[:, None], torch.ones(2, 1, dtype=torch.bool))
    timm_BK: torch.Tensor = net(images_BCHW)
    return timm_BK.shape == logits_BK.shape and bool(
        (timm_BK - logits_BK).abs().max() <= LOGITS_TOLERANCE * logits_BK.abs().max().clamp(min=1)
    )


def _config(bundle: Bundle, net: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """The content of config.json, in timm's terms."""
    geometry, own = bundle.geometry, net.pretrained_cfg
    return {
        "architecture": own["architecture"],
        "num_classes": len(bundle.classes),
        "num_features": net.num_features,
        "label_names": list(bundle.classes),
        "model_args": arguments,
        "pretrained_cfg": {
            "tag": "obverse",
            "custom_load": False,
            "num_classes": len(bundle.classes),
            "input_size": [3, geometry.canvas_height, geometry.canvas_width],
            "fixed_input_size": bool(own.get("fixed_input_size")),
            "interpolation": "bilinear",
            "crop_pct": geometry.crop_fraction,
            "crop_mode": CROP_MODES[geometry.fit],
            "mean": list(bundle.mean),
            "std": list(bundle.std),
            "first_conv": own.get("first_conv"),
            "classifier": own.get("classifier"),
        },
    }
