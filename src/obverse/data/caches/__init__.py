"""Pixels at the working size, kept in memory or in a file."""
