"""Picture decoding: from the bytes of a file to upright RGB pixels. Imports no torch."""

from .decode import DECODER_VERSION, Pixels, decode_picture, picture_from_image, read_picture
from .endings import (
    HEAD_BYTES,
    PICTURE_SUFFIXES,
    UNREAD_SUFFIXES,
    is_picture_head,
    is_picture_name,
    is_unclear_name,
    suffix_of,
)
from .examine import Examination, Trait, examine_picture
from .fingerprint import (
    CHROMA_SIDE,
    PRINT_LENGTH,
    PRINT_SIDE,
    content_digest,
    joint_digest,
    thumbprint,
    unit_interval,
    unit_intervals,
)
from .limits import MAX_BYTES, scaled_size
from .ordered import in_order
from .part import Part, grid
from .probe import Header, PictureError, open_picture
from .sandbox import Sandbox, shared_sandbox

__all__ = [
    "CHROMA_SIDE",
    "DECODER_VERSION",
    "HEAD_BYTES",
    "MAX_BYTES",
    "PICTURE_SUFFIXES",
    "PRINT_LENGTH",
    "PRINT_SIDE",
    "UNREAD_SUFFIXES",
    "Examination",
    "Header",
    "Part",
    "PictureError",
    "Pixels",
    "Sandbox",
    "Trait",
    "content_digest",
    "decode_picture",
    "examine_picture",
    "grid",
    "in_order",
    "is_picture_head",
    "is_picture_name",
    "is_unclear_name",
    "joint_digest",
    "open_picture",
    "picture_from_image",
    "read_picture",
    "scaled_size",
    "shared_sandbox",
    "suffix_of",
    "thumbprint",
    "unit_interval",
    "unit_intervals",
]
