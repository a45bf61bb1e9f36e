"""Resolution of `auto` in a recipe, with reasons: from facts about data and machine, and by measurement."""

from .machine import Machine
from .resolve import Resolved, require_select, resolve

__all__ = ["Machine", "Resolved", "require_select", "resolve"]
