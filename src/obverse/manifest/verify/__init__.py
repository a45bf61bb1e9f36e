"""What is wrong with the data, found before training."""

from .duplicates import duplicate_findings, group_duplicates
from .pictures import PictureFacts, verify_pictures

__all__ = ["PictureFacts", "duplicate_findings", "group_duplicates", "verify_pictures"]
