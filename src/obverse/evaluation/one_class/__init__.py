"""Measurements and sections where every sample has one class."""
