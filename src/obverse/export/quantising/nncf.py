"""OpenVINO models of transformers whose network computes in int8, by NNCF. Only this file imports it."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from obverse.engines import signal_stack_kept
from obverse.errors import UnavailableError

from ..graph import PIXELS
from ..samples import Arrays
from .graphs import EMBEDDINGS

TELEMETRY = "openvino_telemetry"


def require_nncf() -> None:
    """UnavailableError without the package."""
    if find_spec("nncf") is None:
        raise UnavailableError("nncf, which quantises for OpenVINO, is not installed; pip install 'obverse[openvino]'")


def with_int8_network(model: Any, calibration: Sequence[Arrays]) -> Any:
    """The OpenVINO model of an ONNX model (`onnx.ModelProto`) with its network in int8, without the fitted pictures."""
    changed = _quantised(model, calibration)
    for result in changed.get_results():
        if _is_pixels(result.output(0)):
            changed.remove_result(result)
    return changed


def _quantised(model: Any, calibration: Sequence[Arrays]) -> Any:
    """The same, with the fitted pictures as outputs."""
    import openvino

    graph = openvino.Core().read_model(model.SerializeToString())
    with signal_stack_kept(), redirect_stdout(io.StringIO()):  # NNCF writes its progress there
        nncf = _nncf()
        return nncf.quantize(
            graph,
            nncf.Dataset(calibration),
            subset_size=len(calibration),
            model_type=nncf.ModelType.TRANSFORMER,
            ignored_scope=nncf.IgnoredScope(names=_outside(graph), validate=False),
            # 7-bit weights: processors without VNNI add pairs of products in 16 bits, which 8-bit ones can overflow.
            advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE),
        )


def _is_pixels(port: Any) -> bool:
    """Whether an output port gives the fitted pictures of a view."""
    return any(name.startswith(PIXELS) for name in port.names)


def _nncf() -> Any:
    """The package, without its telemetry, which reports every use to its makers."""
    before = sys.modules.get(TELEMETRY)
    sys.modules[TELEMETRY] = None  # type: ignore[assignment]  # as if it were not installed
    try:
        return import_module("nncf")
    finally:
        del sys.modules[TELEMETRY]
        if before is not None:
            sys.modules[TELEMETRY] = before


def _outside(graph: Any) -> list[str]:
    """Names of the operators that are not between the fitted pictures and the embeddings."""
    inside = _ancestors([graph.output(EMBEDDINGS)]) - _ancestors(filter(_is_pixels, graph.outputs))
    return [node.friendly_name for node in graph.get_ops() if node.friendly_name not in inside]


def _ancestors(ports: Iterable[Any]) -> set[str]:
    """Names of the operators from which outputs are computed, their own among them."""
    names: set[str] = set()
    waiting = [port.node for port in ports]
    while waiting:
        node = waiting.pop()
        if node.friendly_name not in names:
            names.add(node.friendly_name)
            waiting += [port.get_source_output().node for port in node.inputs()]
    return names
