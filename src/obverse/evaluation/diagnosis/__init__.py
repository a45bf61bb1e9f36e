"""Diagnosis of a finished training: what stands out, and what to try."""

from .findings import Diagnosis, diagnose
from .story import Story

__all__ = ["Diagnosis", "Story", "diagnose"]
