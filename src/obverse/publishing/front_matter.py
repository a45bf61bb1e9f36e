"""Front matter of a model card: what the Hugging Face hub reads to list, filter and compare models."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import yaml

from obverse.bundle import Bundle
from obverse.errors import RecipeError
from obverse.evaluation import Estimate
from obverse.recipe import PERMISSIVE, TimmBackbone, forbids_commercial_use, licence_words
from obverse.report import plain_text

# Identifiers that the hub has beside the permissive ones; any other licence is `other`, with its name.
HUB_LICENCES = PERMISSIVE | {
    *("cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0"),
    *("gpl-3.0", "lgpl-3.0", "agpl-3.0", "bsd-2-clause", "openrail", "apple-amlr", "unknown"),
}
LICENCE = re.compile(r"[a-z0-9][a-z0-9.-]{0,79}")
# Metric -> the name by which the hub knows it.
HUB_METRICS = {"accuracy": "accuracy", "macro_f1": "f1", "micro_f1": "f1"}


def front_matter(
    name: str, bundle: Bundle, *, licence: str, data: str, estimates: Mapping[str, Estimate | None], has_timm: bool
) -> str:
    """The YAML block at the top of README.md. licence: identifier, empty where it is not known. data: name of the data.

    YAML quotes names where it must.
    """
    library = "timm" if has_timm else "obverse"
    values: dict[str, Any] = {
        **_licence(licence),
        "library_name": library,
        "pipeline_tag": "image-classification",
        "tags": list(dict.fromkeys(["image-classification", "obverse", library])),
        **_base_model(bundle),
        "metrics": list(dict.fromkeys(HUB_METRICS[key] for key in estimates if key in HUB_METRICS)) or ["accuracy"],
    }
    results = [
        {"type": HUB_METRICS[key], "name": key, "value": round(estimate.value, 4)}
        for key, estimate in estimates.items()
        if key in HUB_METRICS and estimate is not None and math.isfinite(estimate.value)
    ]
    if results:
        task = {"type": "image-classification", "name": "Image classification"}
        dataset = {"type": "image-folder", "name": plain_text(data) or "its own test split", "split": "test"}
        entry = {"task": task, "dataset": dataset, "metrics": results}
        values["model-index"] = [{"name": plain_text(name), "results": [entry]}]
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{text}---\n"


def weights_licences(bundle: Bundle) -> tuple[str, ...]:
    """Identifiers of the licences of the pretrained weights that the model came from; none where nothing says it."""
    licence = bundle.trained.get("licence")
    return tuple(part for part in licence.split(", ") if part) if isinstance(licence, str) else ()


def chosen_licence(bundle: Bundle, licence: str | None) -> str:
    """The licence under which a model is published: the given one, else that of the weights it came from.

    RecipeError when `licence` is no identifier, or permits what the weights forbid.
    """
    of_weights = weights_licences(bundle)
    if licence is None:
        return ", ".join(of_weights)
    if not LICENCE.fullmatch(licence):
        raise RecipeError(f"--license {licence!r} is no identifier of a licence, such as apache-2.0 or cc-by-nc-4.0")
    forbids = next((name for name in of_weights if forbids_commercial_use(name)), None)
    if forbids is not None and licence in HUB_LICENCES and not forbids_commercial_use(licence):
        raise RecipeError(f"--license {licence}: the weights that the model came from are under {forbids}, which "
                          "forbids commercial use, and so must its own licence")  # fmt: skip
    return licence


def weights_words(bundle: Bundle) -> str:
    """The licences of the pretrained weights, in words."""
    licences = weights_licences(bundle)
    if licences:
        return "; ".join(map(licence_words, licences))
    backbones = [member.model.backbone for member in bundle.members] or [bundle.model.backbone]
    return "none needed: trained from scratch" if all(b.is_scratch for b in backbones) else "not known"


def _licence(licence: str) -> dict[str, str]:
    if not licence:
        return {"license": "unknown"}
    return {"license": licence} if licence in HUB_LICENCES else {"license": "other", "license_name": licence}


def _base_model(bundle: Bundle) -> dict[str, str]:
    """The hub's name of the pretrained weights, where they are timm's."""
    backbone = bundle.model.backbone
    if bundle.members or not isinstance(backbone, TimmBackbone) or backbone.pretrained != "hub":
        return {}
    return {"base_model": f"timm/{backbone.name}"}
