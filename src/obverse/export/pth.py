"""Export format `pth`: one file of tensors and builtins, which `torch.load(path, weights_only=True)` reads.

    model_state_dict              name -> tensor
    classes                       class names in label order
    class_to_idx, idx_to_class    the same as dicts; idx_to_class has string keys, as it would after JSON
    geometry mean std views ...   the rest of the bundle's description (`bundle/model.json`)

Programs that read the file apply a softmax to the logits, so the bundle's prior and calibration are folded into the
weights (`fold_output`). A model with `average` fusion gives the logits of each view (`HeadPerView`), and its prior and
calibration stay in the description. The file has no optimizer state, so training cannot be resumed from it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from obverse.bundle import Bundle, fill
from obverse.decisions import calibrated
from obverse.errors import DataError
from obverse.files import regular_status
from obverse.models import Classifier, one_line, unpickled
from obverse.recipe import FITTED_ON_PROBABILITIES

from .source import TrainedModel, write_files

FORMAT = "obverse-pth"
FORMAT_VERSION = 1


def write_pth(path: Path, bundle: Bundle, classifier: Classifier, *, more: Mapping[str, Any] | None = None) -> None:
    """Write the model to `path` atomically. OutputError when it cannot be written.

    more: further entries of the file; tensors and builtins only.
    """
    bundle, weights = fold_output(bundle, classifier)
    values = {
        **bundle.to_values(),
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "obverse": version("obverse"),
        "classes": list(bundle.classes),
        "class_to_idx": {name: index for index, name in enumerate(bundle.classes)},
        "idx_to_class": {str(index): name for index, name in enumerate(bundle.classes)},
        "model_state_dict": {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()},
        **(more or {}),
    }
    file = io.BytesIO()  # torch turns the system's errors, such as a full disk, into its own
    torch.save(values, file)
    write_files({path: file.getvalue()})


def write(path: Path, model: TrainedModel) -> str:
    """Write the file of `obverse export --format pth`, of which nothing is checked."""
    write_pth(path, model.bundle, model.classifier)
    return ""


def fold_output(bundle: Bundle, classifier: Classifier) -> tuple[Bundle, dict[str, torch.Tensor]]:
    """Description without a prior and a calibration, and weights that include them, for equal predictions.

    The prior's logarithm is added to the bias of every head's last layer, and the calibration scales and shifts the
    layer. They stay in the description where the head's numbers are no class logits, or are averaged afterwards.
    """
    weights: dict[str, torch.Tensor] = classifier.state_dict()
    output = bundle.output
    if output.kind not in ("classes", "binary") or output.per_view or bundle.members:
        return bundle, weights
    for prefix, module in classifier.named_modules():
        if module is classifier.head or module in classifier.view_heads:
            assert isinstance(module, nn.Sequential)
            weight, bias = (f"{prefix}.{len(module) - 1}.{name}" for name in ("weight", "bias"))
            if output.prior is not None:
                weights[bias] = weights[bias] + torch.tensor(output.prior).log().to(weights[bias])
            if output.calibration is not None:
                scale_K = torch.tensor(output.calibration.scale).to(weights[bias])
                weights[weight] = weights[weight] * scale_K[:, None]
                weights[bias] = calibrated(weights[bias], output.calibration).to(weights[bias])
    # Predictions are the same, so that what was fitted on them stays.
    same = {name: getattr(output, name) for name in FITTED_ON_PROBABILITIES}
    return replace(bundle, output=output.changed({"prior": None, "calibration": None, **same})), weights


def read_pth(path: Path) -> tuple[Bundle, Classifier]:
    """The description and the classifier in a file of `write_pth`, in evaluation mode. DataError for any other file."""
    values = load_safely(path)
    if values.get("format") != FORMAT or values.get("format_version") != FORMAT_VERSION:
        raise DataError(f"{str(path)!r} was not written by `obverse export --format pth` of this version")
    names = {field.name for field in fields(Bundle)}
    described = {name: value for name, value in values.items() if name in names}
    where = repr(str(path))
    try:
        plain = json.loads(json.dumps(described))  # tuples become lists, as in model.json
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{where} holds more than plain values: {error}") from None
    bundle, weights = Bundle.from_values(plain, where), values.get("model_state_dict")
    if not isinstance(weights, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in weights.values()):
        raise DataError(f"{where} holds no weights under `model_state_dict`")
    return bundle, fill(bundle, weights, where)


def load_safely(path: Path) -> dict[str, Any]:
    """The dict in a `.pth` file, on the CPU and without running code from it; DataError when there is none."""
    try:
        regular_status(path)
        with path.open("rb") as file:
            values = unpickled(file)
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror}") from None
    except Exception as error:  # pickle raises many types; weights_only never runs code
        raise DataError(f"{str(path)!r} is not a file of tensors that can be read safely: {one_line(error)}") from None
    if not isinstance(values, dict):
        raise DataError(f"{str(path)!r} holds no dict, so no model")
    return values


def class_names(checkpoint: Mapping[str, Any]) -> tuple[str, ...]:
    """Class names in label order, from `classes`, `idx_to_class` (keys 0 or "0") or `class_to_idx`.

    DataError when the checkpoint has none of these, or their indices have gaps.
    """
    if "classes" in checkpoint:
        return tuple(checkpoint["classes"])
    if "idx_to_class" in checkpoint:
        named = {int(index): str(name) for index, name in checkpoint["idx_to_class"].items()}
    elif "class_to_idx" in checkpoint:
        named = {int(index): str(name) for name, index in checkpoint["class_to_idx"].items()}
    else:
        raise DataError("the checkpoint names no classes: none of classes, idx_to_class, class_to_idx is in it")
    if sorted(named) != list(range(len(named))):
        raise DataError(f"the checkpoint's classes are numbered {sorted(named)[:10]}, not from 0 without gaps")
    return tuple(named[index] for index in range(len(named)))
