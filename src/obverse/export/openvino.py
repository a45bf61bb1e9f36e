"""Export format `openvino`: OpenVINO's own files, an .xml with the graph and a .bin with the weights."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from obverse.engines import OpenVinoSession, has_openvino, require_packages
from obverse.errors import OutputError, UnavailableError

from . import onnx
from .gate import Gate
from .metadata import metadata
from .source import TrainedModel, write_files


def write(path: Path, model: TrainedModel) -> str:
    """Write both files, after OpenVINO gave torch's answers with them; return what was checked, in words.

    RefusedError where answers differ, UnavailableError without the packages, OutputError when they cannot be written.
    """
    if path.suffix != ".xml":
        raise OutputError(f"{str(path)!r} must end in .xml, as OpenVINO asks; choose another file with --out")
    if not has_openvino():
        raise UnavailableError("OpenVINO is not installed; pip install 'obverse[export,openvino]'")
    require_packages(*onnx.PACKAGES)
    gate = Gate.of(model)
    data, words = onnx.checked(model, gate)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.xml")
        _convert(data, file, {name: json.dumps(value) for name, value in metadata(model.bundle, gate.names).items()})
        gate.require([OpenVinoSession(file)])
        # The graph comes last: where it is, its weights are complete.
        weights = file.with_suffix(".bin")
        write_files({path.with_suffix(".bin"): weights.read_bytes(), path: file.read_bytes()})
    return f"{words}, and so did the files"


def _convert(data: bytes, file: Path, facts: dict[str, str]) -> None:
    """Save an ONNX model as OpenVINO's files, with facts as its `rt_info` under `obverse`."""
    import openvino

    model = openvino.Core().read_model(data)
    for name, value in facts.items():
        model.set_rt_info(value, ["obverse", name])
    openvino.save_model(model, file, compress_to_fp16=False)
