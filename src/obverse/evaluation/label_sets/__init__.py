"""Measurements and sections of multi-label data."""
