"""Comparison keys of names (Unicode form, letter case), and recognition of hidden and system files.

File names are kept unchanged, so that the files open, and are compared by these keys. macOS decomposes accents (NFD),
Linux and Windows do not (NFC); both forms look the same.
"""

from __future__ import annotations

import unicodedata

# Folders and files that an operating system, a NAS or an archiver adds to a user's data, in lower case.
SYSTEM_NAMES = frozenset(
    {
        "thumbs.db",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "desktop.ini",
        "__macosx",
        "$recycle.bin",
        "system volume information",
        "lost+found",
        "@eadir",  # Synology: thumbnails, one folder per picture
        "@tmp",
        "@recycle",  # QNAP
        "@recently-snapshot",
        "#recycle",  # Synology
        "#snapshot",
        "~snapshot",  # NetApp
        "found.000",  # Windows' chkdsk
        "__pycache__",
    }
)


def composed(name: str) -> str:
    """The name in Unicode's composed form (NFC), the form of every class name."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def name_key(name: str) -> str:
    """Comparison key, equal for names that differ only in letter case or Unicode form."""
    return name.casefold() if name.isascii() else composed(composed(name).casefold())


def is_left_out(name: str) -> bool:
    """Whether the name is that of a hidden or a system file or folder, which is never read as data."""
    return (name[:1] == "." and name not in (".", "..")) or name.lower() in SYSTEM_NAMES
