"""Sessions of OpenVINO: named arrays in, named arrays out."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from obverse.errors import UnavailableError


def has_openvino() -> bool:
    """Whether the package is installed."""
    return find_spec("openvino") is not None


class _SignalStack(ctypes.Structure):
    """`stack_t` of Linux."""

    _fields_ = (("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextmanager
def signal_stack_kept() -> Iterator[None]:
    """Context at whose end signals are handled on the stack on which they were before.

    OpenVINO replaces that stack while a model exists and puts back what it found. Of two models of which the older one
    goes first, the younger one puts back the freed stack of the older one, and the next signal, such as Ctrl-C, ends
    the process by a segmentation fault.
    """
    if sys.platform != "linux":
        yield
        return
    library, before = ctypes.CDLL(None), _SignalStack()
    library.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        library.sigaltstack(ctypes.byref(before), None)


class OpenVinoSession:
    """A model in OpenVINO, on the CPU in fp32. UnavailableError without the package.

    model: the content of an ONNX file, or of an .xml file of OpenVINO with that of its .bin file as `weights`.
    """

    name = "OpenVINO"

    def __init__(self, model: bytes, weights: bytes = b"", *, num_threads: int = 1) -> None:
        try:
            import openvino
        except ImportError:
            raise UnavailableError("OpenVINO is not installed; pip install 'obverse[openvino]'") from None
        # By default it computes in bf16 where the processor can, which changes the answers.
        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": num_threads}
        # A request holds one inference at a time, and threads share this one.
        self._lock = Lock()
        with signal_stack_kept():
            core = openvino.Core()
            self._model = core.compile_model(core.read_model(model, weights), "CPU", settings)

    def run(self, inputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """All outputs by name."""
        with self._lock:
            outputs = self._model(dict(inputs))
            # A tensor may have several names, when OpenVINO has dropped an operator between them.
            return {name: np.array(outputs[port]) for port in self._model.outputs for name in port.names}
