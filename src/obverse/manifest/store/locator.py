"""Locators: the place of a picture's bytes as one line of text, in `Sample.views` and in the cells of a manifest.

    cat/1.jpg                              a file, relative to the manifest's root, or absolute
    s3://bucket/cat/1.jpg                  a file that fsspec reaches
    pets.zip::member=cat/1.jpg             a member of a zip or tar, read without unpacking
    train.parquet::row=12,image            row 12 of the column `image`
    data_batch_1::cifar=7                  picture 7 of a CIFAR batch
    frame.jpg::half=left                   the left or right half of a picture
    slide.jpg::tile=r1c2of2x3              a tile of it, here the first row's second of three (imaging/part.py)

Steps may follow each other: `set.tar::member=train.parquet::row=0,image::half=left`. A name that itself contains such a
step is escaped by a `=` after its `::`: the locator of the file `a::half=b.jpg` is `a::=half=b.jpg`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Step = tuple[str, str]
# Steps that lead to a part of a picture.
PARTS = ("half", "tile")

_STEP = re.compile(r"::(?=(?:member|row|cifar|half|tile)=)")
_TO_ESCAPE = re.compile(r"::(?==*(?:member|row|cifar|half|tile)=)")
_ESCAPED = re.compile(r"::=(?==*(?:member|row|cifar|half|tile)=)")


def name_locator(name: str) -> str:
    """The locator of a file, with `::` escaped where its name contains what looks like a step."""
    return _TO_ESCAPE.sub("::=", name) if "::" in name else name


def add_step(locator: str, kind: str, value: str) -> str:
    """The locator extended by one step. kind: member, row, cifar, half or tile."""
    return f"{locator}::{kind}={name_locator(value)}"


def part_of(locator: str) -> tuple[str, Step | None]:
    """The locator of the whole picture, and the step to a part of it, or None."""
    whole, separator, last = locator.rpartition("::")
    step = _pair(last)
    return (whole, step) if separator and step[0] in PARTS and _STEP.search(locator, len(whole)) else (locator, None)


def relocate(locator: str, place: Callable[[str], str]) -> str:
    """The locator with the file's name replaced by `place(name)`."""
    if "::" not in locator:
        return name_locator(place(locator))
    name, *steps = _STEP.split(locator)
    return "::".join([name_locator(place(_ESCAPED.sub("::", name))), *steps])


def parse_locator(locator: str) -> tuple[str, tuple[Step, ...]]:
    """The file's name and the steps into it."""
    if "::" not in locator:
        return locator, ()
    name, *steps = (_ESCAPED.sub("::", part) for part in _STEP.split(locator))
    return name, tuple(_pair(step) for step in steps)


def _pair(step: str) -> Step:
    kind, _, value = step.partition("=")
    return kind, value
