"""A batch in, outputs out: the only way from pictures to what a model says."""

from .forward import Forward
from .run import Outputs, run_model

__all__ = ["Forward", "Outputs", "run_model"]
