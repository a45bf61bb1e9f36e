"""Recognition of picture files, by the ending of their name or by their first bytes."""

from __future__ import annotations

import re

PICTURE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
    | {".ppm", ".pgm", ".pbm", ".pnm"}
)
# Picture formats that are not supported. Many raw camera files look like TIFF, but their first picture is a thumbnail.
UNREAD_SUFFIXES = frozenset(
    {".heic", ".heif", ".hif", ".avif", ".jxl", ".jp2", ".j2k", ".jpx", ".jxr", ".psd", ".exr", ".hdr", ".tga", ".svg"}
    | {".dng", ".nef", ".cr2", ".cr3", ".arw", ".orf", ".raf", ".rw2", ".dcm"}
)
# Endings of files that are no pictures: such a file is not opened to look at its first bytes.
_OTHER_SUFFIXES = frozenset(
    {
        ".csv",
        ".tsv",
        ".json",
        ".jsonl",
        ".txt",
        ".md",
        ".rst",
        ".xml",
        ".yaml",
        ".yml",
        ".toml",
        ".ini",
        ".html",
        ".htm",
    }
    | {".css", ".js", ".py", ".ipynb", ".sh", ".m", ".r", ".log", ".pdf", ".doc", ".docx", ".xls", ".xlsx", ".ods"}
    | {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".parquet", ".arrow", ".feather", ".npy", ".npz"}
    | {".mat", ".h5", ".hdf5", ".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".safetensors", ".onnx", ".db", ".sqlite"}
    | {
        ".mp4",
        ".mov",
        ".avi",
        ".mkv",
        ".webm",
        ".mp3",
        ".wav",
        ".exe",
        ".dll",
        ".so",
        ".lnk",
        ".bak",
        ".cfg",
        ".pixels",
    }
)
HEAD_BYTES = 32

_BMP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})
_PNM = re.compile(rb"P[1-6]\s+[#0-9]")
_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def suffix_of(name: str) -> str:
    """The ending with its dot, in lower case; empty when there is none."""
    dot = name.rfind(".")
    return name[dot:].lower() if dot > 0 else ""


def is_picture_name(name: str) -> bool:
    """Whether the file name ends like a picture's."""
    return name[name.rfind(".") :].lower() in PICTURE_SUFFIXES


def is_unclear_name(name: str) -> bool:
    """Whether the ending is unknown, so that only the first bytes show whether the file is a picture."""
    suffix = suffix_of(name)
    return not (suffix in PICTURE_SUFFIXES or suffix in UNREAD_SUFFIXES or suffix in _OTHER_SUFFIXES)


def is_picture_head(head: bytes) -> bool:
    """Whether a file with these first HEAD_BYTES is a picture in a supported format."""
    if head.startswith(_STARTS) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return True
    if head[:2] == b"BM":
        return int.from_bytes(head[14:18], "little") in _BMP_HEADERS
    return _PNM.match(head) is not None
