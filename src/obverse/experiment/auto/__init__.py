"""What `auto` in a recipe becomes, and why: by what the data and the machine are, and by measurement."""

from .machine import Machine
from .resolve import Resolved, resolve

__all__ = ["Machine", "Resolved", "resolve"]
