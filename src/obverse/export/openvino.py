"""Export format `openvino`: OpenVINO's own files, an .xml with the graph and a .bin with the weights."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from obverse.bundle import Bundle
from obverse.engines import OpenVinoSession, has_openvino, require_packages
from obverse.errors import OutputError, UnavailableError

from . import onnx
from .gate import Gate
from .graph import Names
from .metadata import metadata
from .source import TrainedModel, write_files


@dataclass(frozen=True)
class OpenVinoFiles:
    """The content of OpenVINO's two files."""

    graph: bytes
    """The .xml file."""

    weights: bytes
    """The .bin file."""

    @classmethod
    def of(cls, model: Any, facts: Mapping[str, str]) -> Self:
        """The files of an `openvino.Model`, or of an ONNX model's content. facts: its `rt_info` under `obverse`."""
        import openvino

        if isinstance(model, bytes):
            model = openvino.Core().read_model(model)
        for name, value in facts.items():
            model.set_rt_info(value, ["obverse", name])
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "model.xml")
            openvino.save_model(model, file, compress_to_fp16=False)
            return cls(file.read_bytes(), file.with_suffix(".bin").read_bytes())

    @property
    def num_bytes(self) -> int:
        """Size of both files."""
        return len(self.graph) + len(self.weights)

    def session(self, *, num_threads: int = 1) -> OpenVinoSession:
        """The model in OpenVINO."""
        return OpenVinoSession(self.graph, self.weights, num_threads=num_threads)

    def write(self, path: Path) -> None:
        """Write both files. OutputError when one cannot be written."""
        # The graph comes last: where it is, its weights are complete.
        write_files({path.with_suffix(".bin"): self.weights, path: self.graph})


def write(path: Path, model: TrainedModel) -> str:
    """Write both files, after OpenVINO gave torch's answers with them; return what was checked, in words.

    RefusedError where answers differ. Other errors: see `require_usable`, and OutputError when they cannot be written.
    """
    require_usable(path)
    gate = Gate.of(model)
    data, words = onnx.checked(model, gate)
    files = OpenVinoFiles.of(data, facts_of(model.bundle, gate.names))
    gate.require([files.session()])
    files.write(path)
    return f"{words}, and so did the files"


def require_usable(path: Path) -> None:
    """OutputError for a file of another ending than .xml, UnavailableError without the packages."""
    if path.suffix != ".xml":
        raise OutputError(f"{str(path)!r} must end in .xml, as OpenVINO asks; choose another file with --out")
    if not has_openvino():
        raise UnavailableError("OpenVINO is not installed; pip install 'obverse[export,openvino]'")
    require_packages(*onnx.PACKAGES)


def facts_of(bundle: Bundle, names: Names) -> dict[str, str]:
    """The metadata of a model as JSON."""
    return {name: json.dumps(value) for name, value in metadata(bundle, names).items()}
