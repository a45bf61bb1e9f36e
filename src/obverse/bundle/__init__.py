"""Model bundles: reading, writing and joining them into ensembles."""

from .bundle import Bundle, fill, find_bundle, read_bundle, read_description, require_no_folds, write_bundle
from .ensemble import Member, join

__all__ = [
    "Bundle",
    "Member",
    "fill",
    "find_bundle",
    "join",
    "read_bundle",
    "read_description",
    "require_no_folds",
    "write_bundle",
]
