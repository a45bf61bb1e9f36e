"""Verbs about data: check, prepare, sample."""
