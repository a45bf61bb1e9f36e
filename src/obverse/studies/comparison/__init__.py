"""Page of a comparison: the verdict, the samples whose answer changed, and differences by class and by slice."""

from .page import comparison_page, write_comparison

__all__ = ["comparison_page", "write_comparison"]
