"""Splits into train, val and test: strategies, groups that are never divided, and stored splits."""
