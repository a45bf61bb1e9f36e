"""Verbs that make or use one model."""
