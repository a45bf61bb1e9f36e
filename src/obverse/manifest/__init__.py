"""Data sets: sources, verification, splits and the manifest. Imports no torch."""

from .columns import encode, fit_columns, missing_code
from .findings import finding_lines
from .grades import Grade, grade_order, mostly_grades, parse_grade
from .index import Index, build_index, handle_missing_views
from .label_sets import class_counts
from .manifest import Column, Manifest, read_manifest
from .names import composed, name_key
from .prepared import is_prepared, require_free, write_prepared
from .sample import SPLITS, Finding, Sample
from .samples import Samples
from .sources import Listing, data_root, full_path, read_source
from .sources.fixes import COLUMNS as FIX_COLUMNS
from .sources.fixes import Fix, read_fixes
from .sources.folders.tree import open_tree
from .sources.folders.views import in_parts
from .sources.listing import stem_key, walk_pictures
from .sources.run_folder import read_run_folder
from .sources.tables.picture_lists import LIST_SUFFIXES, read_picture_list
from .sources.tables.rows import is_table_name
from .split.divide import groups_of_other_data
from .split.split import assign_splits, fold_of_each
from .split.stored import splits_by_digest
from .store import ARCHIVE_SUFFIXES, PictureStore, StoredPicture, parse_locator, part_of, remote_url
from .verify import PictureFacts, mirrored_classes, require_decodable, shortcut_findings, verify_pictures

__all__ = [
    "ARCHIVE_SUFFIXES",
    "FIX_COLUMNS",
    "LIST_SUFFIXES",
    "SPLITS",
    "Column",
    "Finding",
    "Fix",
    "Grade",
    "Index",
    "Listing",
    "Manifest",
    "PictureFacts",
    "PictureStore",
    "Sample",
    "Samples",
    "StoredPicture",
    "assign_splits",
    "build_index",
    "class_counts",
    "composed",
    "data_root",
    "encode",
    "finding_lines",
    "fit_columns",
    "fold_of_each",
    "full_path",
    "grade_order",
    "groups_of_other_data",
    "handle_missing_views",
    "in_parts",
    "is_prepared",
    "is_table_name",
    "mirrored_classes",
    "missing_code",
    "mostly_grades",
    "name_key",
    "open_tree",
    "parse_grade",
    "parse_locator",
    "part_of",
    "read_fixes",
    "read_manifest",
    "read_picture_list",
    "read_run_folder",
    "read_source",
    "remote_url",
    "require_decodable",
    "require_free",
    "shortcut_findings",
    "splits_by_digest",
    "stem_key",
    "verify_pictures",
    "walk_pictures",
    "write_prepared",
]
