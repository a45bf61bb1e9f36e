"""Inference engines: a batch in, outputs out. The only way from pictures to a model's outputs."""

from .engine import Engine, Needs
from .forward import Forward
from .outputs import Outputs
from .run import run_engine
from .torch_engine import TorchEngine, evaluating
from .tta import MirrorEngine

__all__ = ["Engine", "Forward", "MirrorEngine", "Needs", "Outputs", "TorchEngine", "evaluating", "run_engine"]
