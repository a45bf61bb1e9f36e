"""Export format `onnx`: one file with everything inside, from pixels of any size to answers."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from obverse.bundle import Bundle
from obverse.data import Geometry
from obverse.engines import OnnxSession, OpenVinoSession, has_openvino
from obverse.errors import UnavailableError

from .gate import Gate, Session
from .graph import COLUMNS, PRESENT, Graph, Names
from .metadata import metadata
from .programs.session import examples
from .script import SCRIPT, script
from .source import TrainedModel, write_files

OPSET = 20
PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def write(path: Path, model: TrainedModel) -> str:
    """Write the model as ONNX with a script that uses it; return what was checked, in words. Errors: see `checked`."""
    data, words = checked(model)
    write_files({path.with_name(SCRIPT): script(path.name, model.bundle).encode(), path: data})
    return words


def checked(model: TrainedModel, gate: Gate | None = None) -> tuple[bytes, str]:
    """The ONNX model, after ONNX Runtime and, where installed, OpenVINO have given torch's answers; and that in words.

    gate: of this model, where the caller has one already.

    RefusedError where they differ, UnavailableError without the packages.
    """
    require_packages()
    gate = gate or Gate.of(model)
    proto = exported(gate.graph, gate.names, model.bundle)
    data = proto.SerializeToString()
    sessions: list[Session] = [OnnxSession(data)]
    if has_openvino():
        sessions.append(OpenVinoSession(data))
    words = gate.require(sessions)
    kept = [output for output in proto.graph.output if output.name in gate.names.outputs]
    del proto.graph.output[:]
    proto.graph.output.extend(kept)
    return proto.SerializeToString(), words


def require_packages() -> None:
    """UnavailableError, naming the extra, when a package that ONNX needs is missing."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise UnavailableError(f"{', '.join(missing)} not installed; pip install 'obverse[export]'")


def exported(graph: Graph, names: Names, bundle: Bundle) -> Any:
    """The ONNX model with its metadata; the fitted pictures are outputs as well."""
    any_size = torch.export.Dim.DYNAMIC
    named = dict(zip(names.inputs, examples(bundle, names), strict=True))
    views = tuple(named[view] for view in names.views)
    present, columns = named.get(PRESENT), named.get(COLUMNS)
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


def _fit(pixels: Any, size: Sequence[int], canvas: Sequence[int], rule: str, fill: int, crop_fraction: float) -> Any:
    """The translation of `obverse::fit`."""
    from .resize import fitted_pixels

    geometry = Geometry(size[0], size[1], canvas[0], canvas[1], rule, fill, crop_fraction=crop_fraction)
    return fitted_pixels(pixels, geometry)
