"""Record of what is not read in a tree: pictures in unsupported formats, and folders without pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from obverse.files import open_regular
from obverse.imaging import HEAD_BYTES, UNREAD_SUFFIXES, is_picture_head, suffix_of
from obverse.manifest.sample import Finding

MAX_EXAMPLES = 5
CONVERT = "convert them to JPEG or PNG, for example with ImageMagick: magick mogrify -format jpg FILES"

Parts = tuple[str, ...]


@dataclass
class Unread:
    """Files that a walk has skipped."""

    folders: dict[Parts, Counter[str]] = field(default_factory=dict)
    """Path of a folder -> number of its files that are no pictures, by ending."""

    pictures: list[str] = field(default_factory=list)
    """Files with the ending of an unsupported picture format."""

    def add(self, parts: Parts, others: Iterable[str]) -> None:
        """Record a folder and its files that are no pictures."""
        endings = Counter(map(suffix_of, others))
        self.folders[parts] = endings
        if any(ending in UNREAD_SUFFIXES for ending in endings):
            prefix = "".join(f"{part}/" for part in parts)
            self.pictures += sorted(prefix + name for name in others if suffix_of(name) in UNREAD_SUFFIXES)

    @property
    def message(self) -> str:
        """Message with the number of unsupported pictures and the remedy; empty when there are none."""
        if not self.pictures:
            return ""
        kinds = ", ".join(f"{number} {ending}" for ending, number in Counter(map(suffix_of, self.pictures)).items())
        return f"{len(self.pictures)} picture(s) are of a kind that is not read ({kinds}): {CONVERT}"

    def findings(self, classes: Iterable[Parts]) -> list[Finding]:
        """Warnings about unsupported pictures, and about folders beside the classes that contain no picture.

        classes: folders with pictures, which are classes or views of classes.
        """
        warnings = [Finding("warning", "unread-picture", self.message, tuple(self.pictures))] if self.pictures else []
        holding = {parts[:depth] for parts in classes for depth in range(len(parts) + 1)}
        beside = {parts[:-1] for parts in classes if parts}
        bare = [parts for parts in sorted(self.folders) if parts not in holding and parts[:-1] in beside]
        if bare:
            examples = ", ".join(f"{'/'.join(parts)} ({self._content(parts)})" for parts in bare[:MAX_EXAMPLES])
            more = f" and {len(bare) - MAX_EXAMPLES} more" if len(bare) > MAX_EXAMPLES else ""
            message = f"{len(bare)} folder(s) beside the classes hold no picture that is read, and make no class: "
            warnings.append(Finding("warning", "empty-class", message + examples + more, tuple(map("/".join, bare))))
        return warnings

    def _content(self, parts: Parts) -> str:
        """Number of files by ending, in the folder and all below it."""
        inside = (endings for below, endings in self.folders.items() if below[: len(parts)] == parts)
        total = sum(inside, Counter[str]())
        return ", ".join(f"{number} {ending or 'without ending'}" for ending, number in total.most_common(3)) or "empty"


def holds_picture(path: str | Path) -> bool:
    """Whether the file begins like a picture; False if it cannot be read."""
    try:
        with open_regular(path) as file:
            return is_picture_head(file.read(HEAD_BYTES))
    except (OSError, ValueError):
        return False
