"""What is wrong with the data, found before training."""

from .duplicates import duplicate_findings
from .pictures import PictureFacts, verify_pictures

__all__ = ["PictureFacts", "duplicate_findings", "verify_pictures"]
