"""A line on the terminal that says how far reading the pictures is."""

from __future__ import annotations

import sys

from obverse.terminal import is_terminal


def show_progress(done: int, total: int) -> None:
    """Rewrite the line; nothing where no terminal looks on."""
    if sys.stderr.isatty() and (done % 50 == 0 or done == total):
        sys.stderr.write(f"\rreading pictures {done}/{total}" + ("\n" if done == total else ""))
        sys.stderr.flush()


def show_features(done: int, total: int) -> None:
    """The same for features that are computed."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\rfeatures {done:,}/{total:,}" + ("\n" if done == total else ""))
        sys.stderr.flush()


def show_predicted(done: int, total: int) -> None:
    """The same for predictions, unless they themselves appear on the terminal."""
    if not is_terminal(sys.stdout):
        show_written(done, total)


def show_written(done: int, total: int) -> None:
    """The same for predictions that are written to a file."""
    if is_terminal(sys.stderr):
        sys.stderr.write(f"\r{done:,} of {total:,} predicted" + ("\n" if done == total else ""))
        sys.stderr.flush()
