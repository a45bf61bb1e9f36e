"""Error message for data with fewer than two classes, with the reason and the remedy."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from obverse.recipe import DataSpec

from .samples import Samples
from .sources import Listing
from .sources.fixes import CLASS_GONE
from .store import parse_locator


@dataclass(frozen=True)
class Stages:
    """Samples after each stage of indexing."""

    listed: Samples
    """Samples as listed by the source."""

    included: Samples
    """Listed samples without excluded classes."""

    paired: Samples
    """Included samples without those that lack a view, if such samples are excluded."""


def too_few_classes(names: Collection[str], listing: Listing, stages: Stages, spec: DataSpec, title: str) -> str:
    """Error message for fewer than two classes. names: the remaining classes. title: name of the data."""
    remaining = f"only {min(names)!r}" if names else "none"
    reason = _reason(listing, stages, spec, has_one=bool(names))
    return f"Need at least 2 classes, found {remaining} in {title!r}: {reason}"


def _reason(listing: Listing, stages: Stages, spec: DataSpec, *, has_one: bool) -> str:
    if _num_classes(stages.listed) < 2 and any(finding.code == CLASS_GONE for finding in listing.findings):
        return "the fixes leave no sample of the others; take rows out of the tables of data.fixes, or leave one out"
    if _num_classes(stages.included) < 2 <= _num_classes(stages.listed):
        return "data.exclude_classes leaves out the others"
    if _num_classes(stages.paired) < 2 <= _num_classes(stages.included):
        return _unpaired(listing, stages)
    if _num_classes(stages.paired) >= 2:
        return "the pictures of the others are unusable; mend or replace them"
    num_loose = sum(len(finding.paths) for finding in listing.findings if finding.code == "loose-picture")
    if not has_one and num_loose:
        return _loose(listing, num_loose)
    if listing.layout in ("table", "manifest", "parquet"):
        return (
            "every row has the same label; add the rows of another class, or name the column that tells classes apart"
        )
    if len(listing.views) > 1:
        views = ", ".join(listing.views)
        undo = "" if spec.layout == "class-folders" else "; if the views are classes: data.layout=class-folders"
        return f"its folders or file endings are read as the views {views} of one class; add another class{undo}"
    return "make one folder per class; if this is the folder of one class, give the folder above it"


def _unpaired(listing: Listing, stages: Stages) -> str:
    first, second = (_example(stages.included, view) for view in listing.views[:2])
    never = "never pair" if not len(stages.paired) else "pair in one class only"
    example = f", for example {first} and {second}" if first and second else ""
    return (f"the file names of the views {', '.join(listing.views)} {never}{example}; name the sides of one object "
            f"alike, or pair them by a table with the columns label,{','.join(listing.views)}, or train on single "
            "sides with data.missing_view=keep")  # fmt: skip


def _example(samples: Samples, view: str) -> str | None:
    path = next((path for path in samples.views.get(view, ()) if path is not None), None)
    if path is None:
        return None
    name, steps = parse_locator(path)
    return repr((steps[-1][1] if steps else name).rpartition("/")[2])


def _loose(listing: Listing, num_loose: int) -> str:
    loose = [path for finding in listing.findings if finding.code == "loose-picture" for path in finding.paths]
    folders = sorted({path.rpartition("/")[0] for path in loose})
    place = "directly in it" if folders == [""] else f"directly in {', '.join(folder or '.' for folder in folders[:3])}"
    return (f"{num_loose} picture(s) lie {place}, in no class folder; make one folder per class, or put a table with "
            "the columns image,label beside them")  # fmt: skip


def _num_classes(samples: Samples) -> int:
    return len(set(samples.labels))
