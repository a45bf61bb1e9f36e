"""Words in names of folders, files and columns that mark views and splits."""

from __future__ import annotations

import re
from collections.abc import Iterable

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
    "eval": "val",
    "evaluation": "val",
    "test": "test",
    "testing": "test",
}
# Words for folders of unlabelled pictures beside split folders, as in competitions.
UNLABELLED_WORDS = frozenset({"pred", "predict", "prediction", "predictions", "unlabeled", "unlabelled", "unsup"})
# Words without meaning beside a split word; any other word must be the same in every split folder.
FILLERS = frozenset({"set", "data", "dataset", "folder", "folders", "dir", "split", "images", "image", "imgs", "img",
                     "pictures", "photos", "pics", "jpg", "jpeg", "png", "files", "final", "all", "v"})  # fmt: skip
# Names of numbered folders that are parts of one set, not classes.
PART_WORDS = frozenset({"part", "parts", "batch", "chunk", "shard", "images", "image", "imgs", "img", "folder", "fold",
                        "pictures", "photos", "data", "dir", "archive", "set", "vol", "volume", "disk"})  # fmt: skip
_GLUED = re.compile(r"(train|training|test|testing|val|valid|validation)(set|data|dataset|images|imgs)")
_TOKEN = re.compile(r"[^\W\d_]+")


def split_folders(names: Iterable[str]) -> dict[str, str]:
    """Folder name -> split, for the names that carry a split word; empty unless train and another split are among them.

    A split word with other words around it (`training_set`, `seg_train`, `train_images`) counts if these are fillers or
    the same in all names. Therefore `train_station` beside `test_tube` are two classes.
    """
    words = {name: word for name in names if (word := split_word(name)) is not None}
    if len({rest for _, rest in words.values()}) > 1:
        words = {name: (split, rest) for name, (split, rest) in words.items() if not rest}
    splits = {name: split for name, (split, _) in words.items()}
    return splits if "train" in splits.values() and len(set(splits.values())) > 1 else {}


def are_parts(folders: Iterable[str]) -> bool:
    """Whether the folders are called like numbered parts of one set: `batch_1`, `HAM_images_part_2`."""
    names = {name.lower() for name in folders}
    stems = {name.rstrip("0123456789").rstrip("_-. ") for name in names}
    words = {(_TOKEN.findall(stem) or [""])[-1] for stem in stems}
    return len(names) > 1 and len(stems) == 1 and words <= PART_WORDS and not names & stems


def has_word(name: str, words: frozenset[str]) -> bool:
    """Whether the name contains one of the words as a separate word."""
    return not words.isdisjoint(_TOKEN.findall(name.lower()))


def split_word(name: str) -> tuple[str, tuple[str, ...]] | None:
    """The split that a name carries, and its other words without fillers; None unless it has exactly one split word."""
    tokens = _TOKEN.findall(name.lower())
    glued = [_GLUED.fullmatch(token) for token in tokens]
    tokens = [match[1] if match else token for token, match in zip(tokens, glued, strict=True)]
    splits = [SPLIT_WORDS[token] for token in tokens if token in SPLIT_WORDS]
    if len(splits) != 1:
        return None
    return splits[0], tuple(token for token in tokens if token not in SPLIT_WORDS and token not in FILLERS)
