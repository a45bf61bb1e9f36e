"""Inference engines: a batch in, outputs out. The only way from pictures to a model's outputs."""

from .engine import Engine, Needs
from .forward import Forward
from .onnx_engine import OnnxSession
from .openvino_engine import OpenVinoSession, has_openvino
from .outputs import Outputs
from .run import run_engine
from .torch_engine import TorchEngine, evaluating
from .tta import MirrorEngine

__all__ = [
    "Engine",
    "Forward",
    "MirrorEngine",
    "Needs",
    "OnnxSession",
    "OpenVinoSession",
    "Outputs",
    "TorchEngine",
    "evaluating",
    "has_openvino",
    "run_engine",
]
