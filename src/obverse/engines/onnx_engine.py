"""Sessions of ONNX Runtime: named arrays in, named arrays out. Only this file imports onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from obverse.errors import UnavailableError

Arrays = Mapping[str, npt.NDArray[Any]]


class OnnxSession:
    """An ONNX model in ONNX Runtime, on the CPU. UnavailableError without the package."""

    name = "ONNX Runtime"

    def __init__(self, model: bytes, *, num_threads: int = 1) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise UnavailableError("ONNX Runtime is not installed; pip install 'obverse[export]'") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads
        options.log_severity_level = 3  # its warnings are about its own optimiser
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(self, inputs: Arrays) -> dict[str, npt.NDArray[Any]]:
        """All outputs by name."""
        names = [output.name for output in self._session.get_outputs()]
        return dict(zip(names, map(np.asarray, self._session.run(names, dict(inputs))), strict=True))
