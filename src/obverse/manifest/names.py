"""Names of files, folders and classes as people read them: Unicode forms, letter case, and what systems leave behind.

A name is kept as the disk has it, so that its file opens. Names are compared by these keys: macOS decomposes accents
(NFD) where Linux and Windows do not (NFC), and both look the same.
"""

from __future__ import annotations

import unicodedata

# Folders and files that a system, a NAS or an archiver adds to a user's data. In lower case.
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
    """The name in Unicode's composed form (NFC): the form of every class name."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def name_key(name: str) -> str:
    """The key under which names that differ only in letter case or Unicode form are one."""
    return name.casefold() if name.isascii() else composed(composed(name).casefold())


def is_left_out(name: str) -> bool:
    """Whether a file or folder of this name is hidden or a system's own, and so never data."""
    return (name[:1] == "." and name not in (".", "..")) or name.lower() in SYSTEM_NAMES
