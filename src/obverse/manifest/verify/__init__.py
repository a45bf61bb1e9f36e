"""Verification of data before training: findings about files, names, classes, copies and shortcuts."""

from .classes import class_findings
from .copies.duplicates import copies_across_splits, duplicate_findings, near_duplicate_findings, near_ties
from .copies.groups import copy_findings, copy_groups
from .copies.mirrored import MirroredClasses, mirrored_classes
from .copies.near import NearDuplicates
from .copies.parts import parts_findings
from .copies.scenes import scene_findings, scene_groups
from .copies.turned import near_copies
from .facts import PictureFacts
from .formats import format_findings
from .names import name_findings, tree_findings
from .pictures import USUAL_USE, require_decodable, verify_pictures
from .shortcuts import shortcut_findings
from .swapped import swapped_findings

__all__ = [
    "USUAL_USE",
    "MirroredClasses",
    "NearDuplicates",
    "PictureFacts",
    "class_findings",
    "copies_across_splits",
    "copy_findings",
    "copy_groups",
    "duplicate_findings",
    "format_findings",
    "mirrored_classes",
    "name_findings",
    "near_copies",
    "near_duplicate_findings",
    "near_ties",
    "parts_findings",
    "require_decodable",
    "scene_findings",
    "scene_groups",
    "shortcut_findings",
    "swapped_findings",
    "tree_findings",
    "verify_pictures",
]
