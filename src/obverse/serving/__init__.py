"""HTTP server of trained models: `obverse serve`. One handler, three protocols, a page, limits for everything."""

from .access import Access
from .limits import Limits
from .log import start_log
from .service import Service, is_model_name
from .similar import TrainingPictures

__all__ = ["Access", "Limits", "Service", "TrainingPictures", "is_model_name", "start_log"]
