"""Bytes -> upright RGB; no torch."""

from .decode import DECODER_VERSION, Pixels, decode_picture, picture_from_image, read_picture
from .fingerprint import content_digest, joint_digest, unit_interval, unit_intervals
from .probe import PICTURE_SUFFIXES, Header, PictureError, open_picture
from .sandbox import Sandbox

__all__ = [
    "DECODER_VERSION",
    "PICTURE_SUFFIXES",
    "Header",
    "PictureError",
    "Pixels",
    "Sandbox",
    "content_digest",
    "decode_picture",
    "joint_digest",
    "open_picture",
    "picture_from_image",
    "read_picture",
    "unit_interval",
    "unit_intervals",
]
