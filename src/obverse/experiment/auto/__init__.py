"""Resolution of `auto` in a recipe, with reasons: from facts about data and machine, and by measurement."""

from .machine import Machine
from .resolve import Choose, Resolved, as_written, resolve
from .resolve_model import SMALL_SIDE
from .resolve_training import require_select

__all__ = ["SMALL_SIDE", "Choose", "Machine", "Resolved", "as_written", "require_select", "resolve"]
