"""Words that folders, files and columns carry: views and splits."""

from __future__ import annotations

VIEW_WORDS = (
    ("obverse", "reverse"),
    ("obv", "rev"),
    ("front", "back"),
    ("left", "right"),
    ("top", "bottom"),
    ("top", "side"),
    ("inside", "outside"),
)
SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
