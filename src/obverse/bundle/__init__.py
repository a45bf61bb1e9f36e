"""The shippable model."""

from .bundle import Bundle, find_bundle, read_bundle, write_bundle

__all__ = ["Bundle", "find_bundle", "read_bundle", "write_bundle"]
