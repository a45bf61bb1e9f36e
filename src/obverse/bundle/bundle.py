"""The bundle: what ships. Weights, geometry, normalisation, classes, views, in one folder, read and written here only.

    bundle/model.safetensors   tensors
    bundle/model.json          everything else; holds the SHA-256 of the tensors, and one of itself

There is no code in a bundle and no pickle, and nothing in it is believed that `schema.py` has not checked, so loading
one from a stranger is safe.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shlex
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as tensors_to_bytes

from obverse.data import Geometry
from obverse.errors import DataError, OutputError
from obverse.files import read_json, remove_halves, write_whole
from obverse.imaging import Part
from obverse.manifest import Column
from obverse.models import Classifier, Interface, build_classifier
from obverse.recipe import ModelSpec, OutputSpec

from .ensemble import Member, join
from .schema import DIGEST, checked, digest_of
from .weights import built, outline, read_state, require_fit

FORMAT = "obverse-bundle"
# 2 has a digest of the description. 1 had none, and is still read.
FORMAT_VERSION, UNSEALED = 2, 1
# Said by the file, not by the bundle.
ENVELOPE = ("format", "format_version", "obverse", "weights_sha256", DIGEST)
_log = logging.getLogger(__name__)


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
        """What `to_values` gave; DataError names `where` it was read. Keys that are no field of a bundle are faults."""
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
    """Write both files; the description last, so that one that is there describes weights that are whole."""
    data = tensors_to_bytes({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()})
    values = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "obverse": version("obverse"),
        "weights_sha256": hashlib.sha256(data).hexdigest(),
        **bundle.to_values(),
    }
    values[DIGEST] = digest_of(json.loads(json.dumps(values)))
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_halves(folder, "model.safetensors", "model.json")
        write_whole(folder / "model.safetensors", data)
        write_whole(folder / "model.json", text.encode("utf-8", "backslashreplace"))
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
    return _read_description(find_bundle(path) / "model.json")


def read_bundle(path: Path) -> tuple[Bundle, Classifier]:
    """The description and the classifier with its weights, on the CPU, in evaluation mode.

    Raises DataError for a foreign, damaged or newer bundle.
    """
    folder = find_bundle(path)
    bundle, sha256 = _read_description(folder / "model.json")
    where = repr(str(folder / "model.json"))
    state = read_state(folder / "model.safetensors", outline(bundle.build, where), sha256=sha256)
    return bundle, _filled(bundle, state, where)


def fill(bundle: Bundle, state: dict[str, torch.Tensor], where: str) -> Classifier:
    """The bundle's classifier with these weights, in evaluation mode; DataError names `where` when they do not fit."""
    require_fit(state, outline(bundle.build, where), where)
    return _filled(bundle, state, where)


def _filled(bundle: Bundle, state: dict[str, torch.Tensor], where: str) -> Classifier:
    classifier = built(bundle.build, where)
    assert isinstance(classifier, Classifier)
    classifier.load_state_dict(state)
    return classifier.eval()


def _read_description(path: Path) -> tuple[Bundle, str]:
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
    sha256 = values.get("weights_sha256")
    if not isinstance(sha256, str):
        raise DataError(f"{where} is incomplete or changed: it does not say the SHA-256 of the weights")
    return Bundle.from_values({key: value for key, value in values.items() if key not in ENVELOPE}, where), sha256
