"""Verbs about many runs, or a run before it starts."""
