"""Model bundle: weights, geometry, normalisation, classes and views in one folder, read and written only here.

    bundle/model.safetensors   tensors
    bundle/model.json          everything else, with the SHA-256 of the tensors and of itself
    bundle/outliers.safetensors   the training embeddings' Gaussians (`arrays.py`), where there are any

A bundle holds no code and no pickle, and `schema.py` validates every field, so loading one from a stranger is safe.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shlex
from dataclasses import asdict, dataclass, field, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as tensors_to_bytes

from obverse.data import Geometry
from obverse.decisions import Kind, OutlierDetector, kind_of
from obverse.errors import DataError, OutputError
from obverse.files import read_json, remove_halves, write_whole
from obverse.imaging import Part
from obverse.manifest import Column
from obverse.models import Classifier, Interface, build_classifier
from obverse.recipe import ModelSpec, OutputSpec

from .arrays import OUTLIERS, detector_bytes, read_detector
from .ensemble import Member, join
from .schema import DIGEST, checked, digest_of
from .weights import built, outline, read_state, require_fit

FORMAT = "obverse-bundle"
# Version 2 has a digest of the description. Version 1 has none, and is still read.
FORMAT_VERSION, UNSEALED = 2, 1
# Keys of model.json that describe the file and are no fields of a bundle.
ENVELOPE = ("format", "format_version", "obverse", "weights_sha256", "outliers_sha256", DIGEST)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bundle:
    """Description of a model: everything that prediction needs besides the weights.

    In an ensemble, `model`, `mean` and `std` are those of the first member, and `output` is the default one, because
    the members return class logits already.
    """

    classes: tuple[str, ...]
    """Class names in label order."""
    ordered: bool
    """Whether the classes have an order."""
    views: tuple[str, ...]
    """Names of the views, in the order of the model's input."""
    geometry: Geometry
    """Resizing, padding and cropping of a picture to the model's input."""
    mean: tuple[float, ...]
    """Mean of each channel that normalisation subtracts, for pixels from 0 to 1."""
    std: tuple[float, ...]
    """Standard deviation of each channel that normalisation divides by, for pixels from 0 to 1."""
    model: ModelSpec
    """Backbone, fusion and head."""
    output: OutputSpec
    """Meaning of the head's outputs: their kind, the prior added to them, the calibration and the decision rule."""
    trained: dict[str, Any] = field(default_factory=dict)
    """Facts about the training for people (epoch, metric, data); not used in prediction."""
    columns: tuple[Column, ...] = ()
    """Extra columns that the model sees, fitted on the training samples."""
    parts: tuple[Part, ...] = ()
    """The part of the picture for each view; empty where every view has a picture of its own."""
    members: tuple[Member, ...] = ()
    """The members of an ensemble; empty for a single model."""
    detector: OutlierDetector | None = None
    """Gaussians of the training embeddings, for `output.outliers`; in a file of their own."""
    digest: str = field(default="", compare=False)
    """SHA-256 over the description and the digests of all arrays, as read; empty for a bundle that was not read."""

    def to_values(self) -> dict[str, Any]:
        """The description as plain JSON values, without the detector's arrays and the digest."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("detector", "digest")} | {
            "geometry": asdict(self.geometry),
            "model": self.model.model_dump(mode="json"),
            "output": self.output.model_dump(mode="json"),
            "columns": [asdict(column) for column in self.columns],
            "parts": [list(part.step) for part in self.parts],
            "members": [member.to_values() for member in self.members],
        }

    @classmethod
    def from_values(cls, values: dict[str, Any], where: str) -> Bundle:
        """The bundle described by plain values, inverse of `to_values`.

        DataError, naming `where` they were read, when a value is invalid or a key is unknown.
        """
        read = checked(values, where)
        return cls(
            classes=read.classes,
            ordered=read.ordered,
            views=read.views,
            geometry=read.as_geometry(),
            mean=read.mean,
            std=read.std,
            model=read.model,
            output=read.output,
            trained=read.trained,
            columns=read.as_columns(),
            parts=read.parts,
            members=tuple(Member(m.model, m.output, m.mean, m.std) for m in read.members),
        )

    @property
    def kind(self) -> Kind:
        """The kind of prediction, one class or a label set, with its decision rule."""
        return kind_of(self.output, ordered=self.ordered)

    @property
    def multi_label(self) -> bool:
        """Whether the model predicts label sets."""
        return self.kind.is_set

    def build(self, *, load_weights: bool = False) -> Classifier:
        """The classifier of this description, with random weights, or with pretrained ones if `load_weights`."""
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
        """The per-member part of an ensemble bundle."""
        return Member(self.model, self.output, self.mean, self.std)


def write_bundle(folder: Path, bundle: Bundle, weights: dict[str, torch.Tensor]) -> None:
    """Write the files of a bundle, each atomically. OutputError when they cannot be written.

    The description is written last, so that its existence shows that the weights are complete.
    """
    data = tensors_to_bytes({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()})
    arrays = None if bundle.detector is None else detector_bytes(bundle.detector)
    values = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "obverse": version("obverse"),
        "weights_sha256": hashlib.sha256(data).hexdigest(),
        **({} if arrays is None else {"outliers_sha256": hashlib.sha256(arrays).hexdigest()}),
        **bundle.to_values(),
    }
    values[DIGEST] = digest_of(json.loads(json.dumps(values)))
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_halves(folder, "model.safetensors", OUTLIERS, "model.json")
        write_whole(folder / "model.safetensors", data)
        if arrays is None:
            (folder / OUTLIERS).unlink(missing_ok=True)
        else:
            write_whole(folder / OUTLIERS, arrays)
        write_whole(folder / "model.json", text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise OutputError(f"the bundle {str(folder)!r} cannot be written: {error.strerror}") from error


def find_bundle(path: Path) -> Path:
    """The bundle folder of a run folder, or the path itself if it is a bundle; DataError when there is none."""
    for folder in (path, path / "bundle"):
        if (folder / "model.json").is_file():
            return folder
    if path.name == "model.json" and path.is_file():
        raise DataError(f"{str(path)!r} is a file of a bundle; give its folder, {str(path.parent)!r}")
    if not path.exists():
        raise DataError(f"{str(path)!r} does not exist; give a run folder such as runs/NAME, or a bundle")
    if (path / "recipe.yaml").is_file():
        raise DataError(f"the run {str(path)!r} is not finished; if nothing trains in it any more, resume it: in "
                        "Python with obverse.resume, on the command line with: "
                        f"obverse train --run {shlex.quote(str(path))} --resume")  # fmt: skip
    require_no_folds(path)
    raise DataError(f"{str(path)!r} is neither a finished run nor a bundle: there is no model.json in it")


def require_no_folds(path: Path) -> None:
    """DataError for the folder of `obverse folds`, which has a model in each fold and none of its own."""
    fold = path / "fold-0"
    if fold.is_dir():
        raise DataError(f"{str(path)!r} holds folds, each with a model of its own; give one of them, such as "
                        f"{str(fold)!r}")  # fmt: skip


def read_description(path: Path) -> tuple[Bundle, str]:
    """The description, and the SHA-256 of the weights that it states; only `read_bundle` verifies the weights.

    DataError when there is no bundle at `path`, or its description is foreign, damaged or newer.
    """
    values = _read_description(find_bundle(path) / "model.json")
    return _described(values, path), values["weights_sha256"]


def read_bundle(path: Path) -> tuple[Bundle, Classifier]:
    """The description and the classifier with its weights, on the CPU, in evaluation mode.

    Raises DataError for a foreign, damaged or newer bundle.
    """
    folder = find_bundle(path)
    values, where = _read_description(folder / "model.json"), repr(str(folder / "model.json"))
    bundle = _described(values, folder)
    state = read_state(folder / "model.safetensors", outline(bundle.build, where), sha256=values["weights_sha256"])
    if "outliers_sha256" in values:
        detector = read_detector(folder / OUTLIERS, sha256=values["outliers_sha256"])
        bundle = replace(bundle, detector=detector)
    return bundle, _filled(bundle, state, where)


def fill(bundle: Bundle, state: dict[str, torch.Tensor], where: str) -> Classifier:
    """The bundle's classifier with given weights, in evaluation mode; DataError naming `where` when they do not fit."""
    require_fit(state, outline(bundle.build, where), where)
    return _filled(bundle, state, where)


def _filled(bundle: Bundle, state: dict[str, torch.Tensor], where: str) -> Classifier:
    classifier = built(bundle.build, where)
    assert isinstance(classifier, Classifier)
    classifier.load_state_dict(state)
    return classifier.eval()


def _described(values: dict[str, Any], path: Path) -> Bundle:
    where = repr(str(find_bundle(path) / "model.json"))
    bundle = Bundle.from_values({key: value for key, value in values.items() if key not in ENVELOPE}, where)
    return replace(bundle, digest=digest_of(values))


def _read_description(path: Path) -> dict[str, Any]:
    """The values in model.json, with a valid envelope."""
    values, where = read_json(path), repr(str(path))
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise DataError(f"{where} was not written by Obverse: it does not say `format: {FORMAT}`")
    number = values.get("format_version")
    if number not in (UNSEALED, FORMAT_VERSION) or isinstance(number, bool):
        raise DataError(f"{where} has format version {str(number)[:20]}, and this Obverse reads up to "
                        f"{FORMAT_VERSION}; install the version that wrote it "
                        f"({str(values.get('obverse'))[:20]})")  # fmt: skip
    if number == FORMAT_VERSION and values.get(DIGEST) != digest_of(values):
        raise DataError(f"{where} is not as it was written: its digest is that of something else. Nobody knows what "
                        "was changed, so take the file from where the model was made, or train again")  # fmt: skip
    if number == UNSEALED:
        if DIGEST in values:
            raise DataError(f"{where} is not as it was written: format version {UNSEALED} has no {DIGEST}")
        _log.warning("%s was written by an older Obverse and has no digest: whether it was changed since cannot be "
                     "told", where)  # fmt: skip
    if not isinstance(values.get("weights_sha256"), str):
        raise DataError(f"{where} is incomplete or changed: it does not say the SHA-256 of the weights")
    return values
