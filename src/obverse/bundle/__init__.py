"""The shippable model."""

from .bundle import Bundle, find_bundle, read_bundle, read_description, write_bundle
from .ensemble import Member, join

__all__ = ["Bundle", "Member", "find_bundle", "join", "read_bundle", "read_description", "write_bundle"]
