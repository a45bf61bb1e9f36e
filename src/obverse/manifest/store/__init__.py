"""Picture store: reads pictures by their locators from files, archives, Parquet files, CIFAR batches and URLs."""

from .archive import ARCHIVE_SUFFIXES, Archive, open_archive
from .blob import Blob, read_all
from .cifar import open_cifar, read_pickle
from .locator import add_step, name_locator, parse_locator, part_of, relocate
from .parquet import open_parquet, read_columns, rows_with_picture
from .remote import is_remote_folder, list_remote, remote_url
from .store import PictureStore, StoredPicture
from .zip_names import FALLBACK, readings

__all__ = [
    "ARCHIVE_SUFFIXES",
    "FALLBACK",
    "Archive",
    "Blob",
    "PictureStore",
    "StoredPicture",
    "add_step",
    "is_remote_folder",
    "list_remote",
    "name_locator",
    "open_archive",
    "open_cifar",
    "open_parquet",
    "parse_locator",
    "part_of",
    "read_all",
    "read_columns",
    "read_pickle",
    "readings",
    "relocate",
    "remote_url",
    "rows_with_picture",
]
