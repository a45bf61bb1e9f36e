"""Resolution of `auto` in a recipe, with reasons: from facts about data and machine, and by measurement."""

from .machine import Machine
from .resolve import Resolved, resolve
from .resolve_training import require_select

__all__ = ["Machine", "Resolved", "require_select", "resolve"]
