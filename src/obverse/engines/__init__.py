"""A batch in, outputs out: the only way from pictures to what a model says."""

from .engine import Engine, Needs
from .forward import Forward
from .outputs import Outputs
from .run import run_engine
from .torch_engine import TorchEngine, evaluating
from .tta import MirrorEngine

__all__ = ["Engine", "Forward", "MirrorEngine", "Needs", "Outputs", "TorchEngine", "evaluating", "run_engine"]
