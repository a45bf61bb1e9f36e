"""The page of an evaluation: its opening, what to trust, galleries, panels and model card, and their order."""

from .card import model_card
from .choice import Thumbnails
from .compose import Extras, compose
from .judged import Judged
from .measured import Measured, measured_of, measured_section, read_measured
from .mistakes import items_of
from .opening import data_name, shortened
from .training import History

__all__ = [
    "Extras",
    "History",
    "Judged",
    "Measured",
    "Thumbnails",
    "compose",
    "data_name",
    "items_of",
    "measured_of",
    "measured_section",
    "model_card",
    "read_measured",
    "shortened",
]
