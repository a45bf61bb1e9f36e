"""The exact and the quantised file of a model in one format, in memory until the quantised one is accepted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

from obverse.bundle import Bundle
from obverse.engines import Session, require_packages

from .. import onnx, openvino
from ..onnx import Exact, OnnxFile
from ..openvino import OpenVinoFiles
from ..samples import Arrays
from .graphs import is_convolutional
from .halves import with_half_weights
from .integers import with_int8_products
from .nncf import require_nncf, with_int8_network

Method = Literal["int8", "fp16"]
MARK = "quantised"
"""Entry of the metadata that names the method."""


class File(Protocol):
    """The content of an exported model: one file, or two that belong together."""

    @property
    def num_bytes(self) -> int:
        """Size of all files."""

    def session(self, *, num_threads: int = 1) -> Session:
        """The model in the runtime that the format is for."""

    def write(self, path: Path) -> None:
        """Write the files. OutputError when one cannot be written."""


def require_usable(path: Path, format: str, method: Method) -> None:
    """UnavailableError without a package that is needed. OutputError for a file name that the format does not allow."""
    if format == "openvino":
        openvino.require_usable(path)
        if method == "int8":
            require_nncf()
    require_packages(*onnx.PACKAGES)


def exact_and_quantised(
    format: str, exact: Exact, bundle: Bundle, *, method: Method, calibration: Sequence[Arrays]
) -> tuple[File, File]:
    """The exact file of a model in the format `onnx` or `openvino`, and the quantised one.

    calibration: inputs of single samples, by which the ranges of activations are measured; fp16 needs none.
    """
    if format == "onnx":
        return OnnxFile(exact.data), OnnxFile(_quantised_onnx(exact, method, calibration))
    facts = openvino.facts_of(bundle, exact.names)
    # With 7-bit weights NNCF costs a MobileNetV2 14 points of accuracy. OpenVINO reads our convolutions as well.
    by_nncf = method == "int8" and not is_convolutional(exact.model)
    changed = with_int8_network(exact.model, calibration) if by_nncf else _quantised_onnx(exact, method, calibration)
    return OpenVinoFiles.of(exact.data, facts), OpenVinoFiles.of(changed, facts | {MARK: method})


def _quantised_onnx(exact: Exact, method: Method, calibration: Sequence[Arrays]) -> bytes:
    """The content of the quantised ONNX file."""
    if method == "int8":
        changed = with_int8_products(exact.model, calibration)
    else:
        changed = with_half_weights(type(exact.model).FromString(exact.model.SerializeToString()))
    mark = changed.metadata_props.add()
    mark.key, mark.value = MARK, method
    return onnx.without_pixels(changed)
