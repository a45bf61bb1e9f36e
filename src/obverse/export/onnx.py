"""Export format `onnx`: one file with everything inside, from pixels of any size to answers."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from obverse.bundle import Bundle
from obverse.data import Geometry
from obverse.engines import OnnxSession, OpenVinoSession, has_openvino
from obverse.errors import OutputError, UnavailableError
from obverse.files import write_whole
from obverse.models import Classifier

from .gate import Session, require_parity
from .graph import Graph, Names

OPSET = 20
PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def write(path: Path, bundle: Bundle, classifier: Classifier) -> None:
    """Write the model as ONNX, after ONNX Runtime and, where installed, OpenVINO have given torch's answers.

    RefusedError where they differ, UnavailableError without the packages, OutputError when it cannot be written.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise UnavailableError(f"{', '.join(missing)} not installed; pip install 'obverse[export]'")
    graph, names = Graph(bundle, classifier).eval(), Names.of(bundle, classifier)
    model = exported(graph, names, bundle)
    data = model.SerializeToString()
    sessions: list[Session] = [OnnxSession(data)]
    if has_openvino():
        sessions.append(OpenVinoSession(data))
    require_parity(graph, names, bundle, sessions)
    kept = [output for output in model.graph.output if output.name in names.outputs]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, model.SerializeToString())
    except OSError as error:
        raise OutputError(f"{str(path)!r} cannot be written: {error.strerror}") from error


def exported(graph: Graph, names: Names, bundle: Bundle) -> Any:
    """The ONNX model with its metadata; the fitted pictures are outputs as well."""
    any_size, rows = torch.export.Dim.DYNAMIC, np.random.default_rng(0)
    views = tuple(
        torch.from_numpy(rows.integers(0, 256, (2, 41 + number, 53 + number, 3), np.uint8))
        for number in range(len(names.views))
    )
    present = torch.ones(2, len(views), dtype=torch.bool) if "present" in names.more_inputs else None
    columns = torch.zeros(2, len(bundle.columns)) if bundle.columns else None
    batched = [None if tensor is None else {0: any_size} for tensor in (present, columns)]
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporter about its own parts
        program = torch.onnx.export(
            graph,
            (views, present, columns),
            dynamo=True,
            opset_version=OPSET,
            external_data=False,
            verbose=False,
            input_names=list(names.inputs),
            output_names=[*names.outputs, *names.pixels],
            dynamic_shapes=(tuple({0: any_size, 1: any_size, 2: any_size} for _ in views), *batched),
            custom_translation_table={torch.ops.obverse.fit.default: _fit},
        )
    assert program is not None
    model = program.model_proto
    for key, value in metadata(bundle, names).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value if isinstance(value, str) else json.dumps(value)
    return model


def metadata(bundle: Bundle, names: Names) -> dict[str, Any]:
    """What a program needs besides the graph, by key; all but text is JSON in the file."""
    return {
        "obverse": version("obverse"),
        "classes": bundle.classes,
        "views": dict(zip(bundle.views, names.views, strict=True)),
        "geometry": asdict(bundle.geometry),
        "least_decode": bundle.geometry.least_decode,
        "mean": bundle.mean,
        "std": bundle.std,
        "columns": [asdict(column) for column in bundle.columns],
        "parts": [list(part.step) for part in bundle.parts],
    }


def _fit(pixels: Any, size: Sequence[int], canvas: Sequence[int], rule: str, fill: int, crop_fraction: float) -> Any:
    """The translation of `obverse::fit`."""
    from .resize import fitted_pixels

    geometry = Geometry(size[0], size[1], canvas[0], canvas[1], rule, fill, crop_fraction=crop_fraction)
    return fitted_pixels(pixels, geometry)
