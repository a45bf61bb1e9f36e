"""The page of an evaluation: its opening, what to trust, galleries, panels and model card, and their order."""

from .choice import Thumbnails
from .compose import Extras, compose
from .judged import Judged
from .opening import shortened
from .training import History

__all__ = ["Extras", "History", "Judged", "Thumbnails", "compose", "shortened"]
