"""Export format `onnx`: one file with everything inside, from pixels of any size to answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch

from obverse.bundle import Bundle
from obverse.data import Geometry
from obverse.engines import OnnxSession, OpenVinoSession, Session, has_openvino, require_packages, to_onnx

from .gate import Gate
from .graph import COLUMNS, PIXELS, PRESENT, Graph, Names
from .metadata import metadata
from .programs.session import examples
from .script import SCRIPT, script
from .source import TrainedModel, write_files

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
    exact = Exact.of(model, gate)
    return exact.data, exact.words


@dataclass(frozen=True)
class Exact:
    """The ONNX model of which every runtime gave torch's answers."""

    model: Any
    """`onnx.ModelProto`, with the fitted pictures as outputs."""

    names: Names

    words: str
    """What was checked, in words."""

    @classmethod
    def of(cls, model: TrainedModel, gate: Gate | None = None) -> Self:
        """The model, exported and checked. Arguments and errors: see `checked`."""
        require_packages(*PACKAGES)
        gate = gate or Gate.of(model)
        proto = exported(gate.graph, gate.names, model.bundle)
        data = proto.SerializeToString()
        sessions: list[Session] = [OnnxSession(data)]
        if has_openvino():
            sessions.append(OpenVinoSession(data))
        return cls(proto, gate.names, gate.require(sessions))

    @property
    def data(self) -> bytes:
        """The file's content."""
        return without_pixels(self.model)


@dataclass(frozen=True)
class OnnxFile:
    """The content of an ONNX file."""

    data: bytes

    @property
    def num_bytes(self) -> int:
        """Size of the file."""
        return len(self.data)

    def session(self, *, num_threads: int = 1) -> OnnxSession:
        """The model in ONNX Runtime."""
        return OnnxSession(self.data, num_threads=num_threads)

    def write(self, path: Path) -> None:
        """Write the file. OutputError when it cannot be written."""
        write_files({path: self.data})


def without_pixels(model: Any) -> bytes:
    """The content of a model's file, whose outputs are those for users only."""
    copy = type(model).FromString(model.SerializeToString())
    kept = [output for output in copy.graph.output if not output.name.startswith(PIXELS)]
    del copy.graph.output[:]
    copy.graph.output.extend(kept)
    data: bytes = copy.SerializeToString()
    return data


def exported(graph: Graph, names: Names, bundle: Bundle) -> Any:
    """The ONNX model with its metadata; the fitted pictures are outputs as well."""
    any_size = torch.export.Dim.DYNAMIC
    named = dict(zip(names.inputs, examples(bundle, names), strict=True))
    views = tuple(named[view] for view in names.views)
    present, columns = named.get(PRESENT), named.get(COLUMNS)
    batched = [None if tensor is None else {0: any_size} for tensor in (present, columns)]
    model = to_onnx(
        graph,
        (views, present, columns),
        input_names=list(names.inputs),
        output_names=[*names.outputs, *names.pixels],
        dynamic_shapes=(tuple({0: any_size, 1: any_size, 2: any_size} for _ in views), *batched),
        custom_translation_table={torch.ops.obverse.fit.default: _fit},
    )
    for key, value in metadata(bundle, names).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value if isinstance(value, str) else json.dumps(value)
    return model


def _fit(pixels: Any, size: Sequence[int], canvas: Sequence[int], rule: str, fill: int, crop_fraction: float) -> Any:
    """The translation of `obverse::fit`."""
    from .resize import fitted_pixels

    geometry = Geometry(size[0], size[1], canvas[0], canvas[1], rule, fill, crop_fraction=crop_fraction)
    return fitted_pixels(pixels, geometry)
