"""Manifest of labelled data outside a run, read with the data settings of the run whose model is evaluated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from obverse.bundle import Bundle
from obverse.errors import DataError, RecipeError
from obverse.imaging import joint_digest
from obverse.manifest import (
    ARCHIVE_SUFFIXES,
    Listing,
    Manifest,
    PictureStore,
    Samples,
    class_counts,
    composed,
    groups_of_other_data,
    handle_missing_views,
    in_parts,
    is_prepared,
    is_table_name,
    read_source,
    verify_pictures,
)
from obverse.recipe import DataSpec, Recipe

# Name of the only split of such a manifest.
OTHER = "data"


def other_manifest(
    data: Path, bundle: Bundle, recipe: Recipe, *, split: str | None, layout: str | None
) -> tuple[Manifest, dict[str, str]]:
    """Manifest of `data`, or of one of its own splits, and facts about it for the report: source and warnings.

    Raises DataError for classes or views that the model does not know, and for pictures that training would refuse.
    """
    left_out = recipe.data.exclude_classes
    listing = _read(data, bundle, recipe, layout)
    if bundle.parts and len(listing.views) == 1:
        listing = in_parts(listing, bundle.views, bundle.parts)
    listing = _with_views(listing, bundle, data)
    samples = Samples.of(s for s in listing.samples if s.label not in left_out and split in (None, s.split))
    if split is not None and not samples:
        raise DataError(f"{str(data)!r} has no samples in a split `{split}`; leave out --split to evaluate all of it")
    samples, unpaired = handle_missing_views(_as_known(samples, bundle), listing, recipe.data)
    unknown = sorted(class_counts(samples.labels, multi_label=bundle.multi_label).keys() - set(bundle.classes))
    if unknown:
        raise DataError(f"the model does not know the class(es) {', '.join(unknown[:5])}; it knows "
                        f"{', '.join(bundle.classes[:10])}")  # fmt: skip
    use, details = bundle.geometry.least_decode, recipe.data.split.group_near_duplicates
    facts = verify_pictures(PictureStore(listing.root), list(samples.paths()), use=use, details=details)
    errors = [finding for finding in (*listing.findings, *facts.findings) if finding.severity == "error"]
    if errors:
        first = f"{', '.join(map(repr, errors[0].paths[:3]))}: {errors[0].message}"
        raise DataError(f"{len(errors)} unusable picture(s), the first is {first}. Mend or remove them")
    digests = [joint_digest(map(facts.digest_of.__getitem__, sample.views.values())) for sample in samples]
    samples = samples.with_columns(splits=[OTHER] * len(samples), digests=digests)
    samples = groups_of_other_data(samples, recipe.data.split, facts)
    about = {"evaluated on": _described(data, split, left_out)}
    if unpaired:
        about["unpaired"] = f"{len(unpaired)} sample(s) lack a view; the first: {unpaired[0].message}"
    warnings = [finding.message for finding in listing.findings if finding.severity == "warning"]
    about |= {"warnings": "; ".join(warnings[:5])} if warnings else {}
    manifest = Manifest(
        listing.root, samples, bundle.classes, bundle.views, bundle.ordered, bundle.columns, bundle.multi_label
    )
    return manifest, about


def _as_known(samples: Samples, bundle: Bundle) -> Samples:
    """The samples with class names in the model's Unicode form: older models may have names that are not composed."""
    known = {composed(name): name for name in bundle.classes}
    if bundle.multi_label or all(name == own for name, own in known.items()):
        return samples
    return replace(samples, labels=tuple(known.get(label, label) for label in samples.labels))


def _read(data: Path, bundle: Bundle, recipe: Recipe, layout: str | None) -> Listing:
    """The listing of `data`, read with the run's settings for labels, views, encodings and paths.

    A prepared manifest states how its labels are read, so settings for labels and tables are not passed on to it.
    """
    own = recipe.data
    labels = "multi" if bundle.multi_label else "single"
    values: dict[str, object] = {"labels": labels}
    if data.name.lower().endswith(ARCHIVE_SUFFIXES):
        values["archive_encoding"] = own.archive_encoding
    if len(bundle.views) > 1 and not bundle.parts:
        values["views"] = bundle.views
    if bundle.multi_label and not is_prepared(data):
        values |= {"label_separator": own.label_separator, "label_columns": own.label_columns}
    if is_table_name(data.name) and not is_prepared(data):
        values["label_column"] = own.label_column
        values["table_encoding"] = own.table_encoding if data.suffix.lower() in (".csv", ".tsv") else None
    if layout is not None:
        values["layout"] = layout
    if own.path_map and layout in (None, own.layout) and not is_prepared(data):
        values |= {"path_map": own.path_map, "layout": own.layout}
    try:
        spec = DataSpec.model_validate(values)
    except ValueError:
        raise RecipeError(f"no layout `{layout}`; `obverse evaluate --help` names them") from None
    return read_source(data, spec)


def _with_views(listing: Listing, bundle: Bundle, data: Path) -> Listing:
    """The listing with the model's views only.

    A model of one view takes the view of that name, or the data's only view under another name. Raises DataError when
    the views do not match.
    """
    if set(listing.views) == set(bundle.views):
        return replace(listing, views=bundle.views)
    if len(bundle.views) > 1 or (len(listing.views) > 1 and bundle.views[0] not in listing.views):
        raise DataError(f"{str(data)!r} has the views {', '.join(listing.views)}, the model {', '.join(bundle.views)}")
    (view,) = bundle.views
    seen = view if view in listing.views else listing.views[0]
    samples = Samples.of(replace(s, views={view: s.views[seen]}) for s in listing.samples if seen in s.views)
    return replace(listing, samples=samples, views=bundle.views)


def _described(data: Path, split: str | None, left_out: tuple[str, ...]) -> str:
    place = f"{data}, its split {split}" if split else str(data)
    return f"{place}, without the class(es) {', '.join(left_out)}" if left_out else place
