"""Obverse: image classifiers that look at every side."""
