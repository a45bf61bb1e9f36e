"""Verbs about this installation: doctor, recipes."""
