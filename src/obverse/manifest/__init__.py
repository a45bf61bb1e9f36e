"""Data sets: sources, verification, splits and the manifest. Imports no torch."""

from .columns import encode, fit_columns, missing_code
from .findings import finding_lines
from .grades import Grade, grade_order, mostly_grades, parse_grade
from .index import Index, build_index, handle_missing_views
from .label_sets import class_counts
from .manifest import Column, Manifest, read_manifest
from .prepared import is_prepared, require_free, write_prepared
from .sample import SPLITS, Finding, Sample
from .samples import Samples
from .sources import data_root, full_path, read_source
from .sources.folders.views import in_parts
from .sources.listing import walk_pictures
from .split.divide import groups_of_other_data
from .split.split import assign_splits
from .split.stored import splits_by_digest
from .store import PictureStore
from .verify import PictureFacts, mirrored_classes, require_decodable, verify_pictures

__all__ = [
    "SPLITS",
    "Column",
    "Finding",
    "Grade",
    "Index",
    "Manifest",
    "PictureFacts",
    "PictureStore",
    "Sample",
    "Samples",
    "assign_splits",
    "build_index",
    "class_counts",
    "data_root",
    "encode",
    "finding_lines",
    "fit_columns",
    "full_path",
    "grade_order",
    "groups_of_other_data",
    "handle_missing_views",
    "in_parts",
    "is_prepared",
    "mirrored_classes",
    "missing_code",
    "mostly_grades",
    "parse_grade",
    "read_manifest",
    "read_source",
    "require_decodable",
    "require_free",
    "splits_by_digest",
    "verify_pictures",
    "walk_pictures",
    "write_prepared",
]
