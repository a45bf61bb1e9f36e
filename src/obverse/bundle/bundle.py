"""The bundle: what ships. Weights, geometry, normalisation, classes, views, in one folder, read and written here only.

    bundle/model.safetensors   tensors
    bundle/model.json          everything else; holds the SHA-256 of the tensors

There is no code in a bundle and no pickle, so loading one from a stranger is safe.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as tensors_to_bytes

from obverse.data import Geometry
from obverse.errors import DataError, OutputError
from obverse.imaging import Part
from obverse.manifest import Column
from obverse.models import Classifier, Interface, build_classifier
from obverse.recipe import ModelSpec, OutputSpec

from .ensemble import Member, join

FORMAT = "obverse-bundle"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Bundle:
    """All that prediction needs besides weights. calibration: None until probabilities have been calibrated.

    output: what the head's numbers mean, the class frequencies it is meant for, and how a decision is read from it.
    columns: the extra columns that the model sees, as its training samples described them. parts: where the views are
    parts of one picture, the part for each view.
    trained: facts for people (epoch, metric, data), not used in prediction. members: of an ensemble; `model`, `mean`
    and `std` are then the first's, and `output` is plain, because the members give class logits already.
    """

    classes: tuple[str, ...]
    ordered: bool
    views: tuple[str, ...]
    geometry: Geometry
    mean: tuple[float, ...]
    std: tuple[float, ...]
    model: ModelSpec
    output: OutputSpec
    calibration: None = None
    trained: dict[str, Any] = field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    parts: tuple[Part, ...] = ()
    members: tuple[Member, ...] = ()

    def to_values(self) -> dict[str, Any]:
        """The description as plain values."""
        return {f.name: getattr(self, f.name) for f in fields(self)} | {
            "geometry": asdict(self.geometry),
            "model": self.model.model_dump(mode="json"),
            "output": self.output.model_dump(mode="json"),
            "columns": [asdict(column) for column in self.columns],
            "parts": [list(part.step) for part in self.parts],
            "members": [member.to_values() for member in self.members],
        }

    @classmethod
    def from_values(cls, values: dict[str, Any], where: str) -> Bundle:
        """What `to_values` gave; DataError names `where` it was read."""
        try:
            return cls(
                classes=tuple(values["classes"]),
                ordered=bool(values["ordered"]),
                views=tuple(values["views"]),
                geometry=Geometry(**values["geometry"]),
                mean=tuple(values["mean"]),
                std=tuple(values["std"]),
                model=ModelSpec.model_validate_json(json.dumps(values["model"])),
                output=OutputSpec.model_validate_json(json.dumps(values["output"])),
                trained=values["trained"],
                columns=tuple(_column(**column) for column in values.get("columns", [])),
                parts=tuple(Part.parse(*step) for step in values.get("parts", [])),
                members=tuple(map(_member, values.get("members", ()))),
            )
        except (KeyError, TypeError, ValidationError) as error:
            raise DataError(f"{where} is incomplete or changed: {_one_line(error)}") from None

    @property
    def multi_label(self) -> bool:
        """Whether the answer is a label set."""
        return self.output.kind == "binary"

    def build(self, *, load_weights: bool = False) -> Classifier:
        """The classifier of this description, with fresh weights unless told to load pretrained ones."""
        if not self.members:
            return self._classifier(self.model, self.output, load_weights=load_weights)
        parts = [self._classifier(m.model, m.output, load_weights=load_weights) for m in self.members]
        return join(parts, self.members, num_views=len(self.views), mean=self.mean, std=self.std)

    def _classifier(self, model: ModelSpec, output: OutputSpec, *, load_weights: bool) -> Classifier:
        return build_classifier(
            model,
            num_views=len(self.views),
            num_classes=len(self.classes),
            height=self.geometry.canvas_height,
            width=self.geometry.canvas_width,
            load_weights=load_weights,
            interface=Interface(output, tuple(column.size for column in self.columns)),
        )

    def as_member(self) -> Member:
        """What is this bundle's own when it joins others."""
        return Member(self.model, self.output, self.mean, self.std)


def write_bundle(folder: Path, bundle: Bundle, weights: dict[str, torch.Tensor]) -> None:
    """Write both files; the description last, so that a bundle with a description is whole."""
    data = tensors_to_bytes({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()})
    values = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "obverse": version("obverse"),
        "weights_sha256": hashlib.sha256(data).hexdigest(),
        **bundle.to_values(),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.safetensors").write_bytes(data)
        (folder / "model.json").write_text(
            json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", errors="backslashreplace"
        )
    except OSError as error:
        raise OutputError(f"the bundle {str(folder)!r} cannot be written: {error.strerror}") from error


def find_bundle(path: Path) -> Path:
    """The bundle folder of a run folder or of a bundle itself; DataError when there is none."""
    for folder in (path, path / "bundle"):
        if (folder / "model.json").is_file():
            return folder
    if not path.exists():
        raise DataError(f"{str(path)!r} does not exist; give a run folder such as runs/NAME, or a bundle")
    if (path / "recipe.yaml").is_file():
        raise DataError(f"the run {str(path)!r} is not finished; if nothing trains in it any more, resume with: "
                        f"obverse train --run {shlex.quote(str(path))} --resume")  # fmt: skip
    raise DataError(f"{str(path)!r} is neither a finished run nor a bundle: there is no model.json in it")


def read_description(path: Path) -> tuple[Bundle, str]:
    """The description alone, and the SHA-256 of the weights as it has it; `read_bundle` is what checks that."""
    file = find_bundle(path) / "model.json"
    values = _read_values(file)
    return Bundle.from_values(values, repr(str(file))), str(values.get("weights_sha256"))


def read_bundle(path: Path) -> tuple[Bundle, Classifier]:
    """The description and the classifier with its weights, on the CPU, in evaluation mode.

    Raises DataError for a foreign, damaged or newer bundle.
    """
    folder = find_bundle(path)
    values = _read_values(folder / "model.json")
    try:
        data = (folder / "model.safetensors").read_bytes()
    except OSError as error:
        raise DataError(f"{str(folder / 'model.safetensors')!r} cannot be read: {error.strerror}") from None
    if hashlib.sha256(data).hexdigest() != values.get("weights_sha256"):
        raise DataError(f"{str(folder / 'model.safetensors')!r} is not the file that model.json describes: "
                        "it is damaged or belongs to another model")  # fmt: skip
    bundle = Bundle.from_values(values, repr(str(folder / "model.json")))
    classifier = bundle.build()
    try:
        classifier.load_state_dict(load_tensors(data))
    except (RuntimeError, SafetensorError) as error:
        raise DataError(
            f"the weights in {str(folder)!r} do not fit the model they come with: {_one_line(error)}"
        ) from None
    return bundle, classifier.eval()


def _read_values(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{str(path)!r} cannot be read as JSON: {error}") from None
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise DataError(f"{str(path)!r} was not written by Obverse: it does not say `format: {FORMAT}`")
    if values.get("format_version") != FORMAT_VERSION:
        raise DataError(f"{str(path)!r} has format version {values.get('format_version')}, and this Obverse reads "
                        f"{FORMAT_VERSION}; install the version that wrote it ({values.get('obverse')})")  # fmt: skip
    return values


def _column(*, values: list[str], **rest: Any) -> Column:
    return Column(values=tuple(values), **rest)


def _member(values: dict[str, Any]) -> Member:
    return Member(
        ModelSpec.model_validate_json(json.dumps(values["model"])),
        OutputSpec.model_validate_json(json.dumps(values["output"])),
        tuple(values["mean"]),
        tuple(values["std"]),
    )


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
