"""Inference engines: a batch in, outputs out. The only way from pictures to a model's outputs."""

from .choice import build_engine, installed_engines, noise_batch, session_engine
from .engine import Engine, Needs
from .forward import Forward
from .onnx_engine import OnnxSession
from .onnx_export import require_packages, to_onnx
from .openvino_engine import OpenVinoSession, has_openvino, signal_stack_kept
from .outputs import Outputs
from .run import run_engine
from .session_engine import Session, SessionEngine
from .torch_engine import TorchEngine, evaluating
from .tta import MIRRORED, MirrorEngine

__all__ = [
    "MIRRORED",
    "Engine",
    "Forward",
    "MirrorEngine",
    "Needs",
    "OnnxSession",
    "OpenVinoSession",
    "Outputs",
    "Session",
    "SessionEngine",
    "TorchEngine",
    "build_engine",
    "evaluating",
    "has_openvino",
    "installed_engines",
    "noise_batch",
    "require_packages",
    "run_engine",
    "session_engine",
    "signal_stack_kept",
    "to_onnx",
]
