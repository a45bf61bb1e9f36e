"""The CIFAR-10 and CIFAR-100 python archives as a source, unpacked or inside their .tar.gz."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from obverse.errors import DataError
from obverse.manifest.sample import Sample
from obverse.manifest.samples import Samples
from obverse.manifest.sources.folders.tree import Tree
from obverse.manifest.store import add_step, open_cifar, read_pickle
from obverse.recipe import DataSpec

from .listing import Listing
from .source import Source, one_view

BATCH_NAME = re.compile(r"data_batch_\d+|test_batch")


@dataclass(frozen=True)
class _Kind:
    """Variant of the archive: CIFAR-10 or CIFAR-100."""

    name: str

    batches: dict[str, str]
    """Name of a batch file in the tree -> split."""

    meta: str
    """Name of the file of class names."""

    labels_key: str
    """Key of the labels in a batch."""

    names_key: str
    """Key of the class names in `meta`."""


def find_batches(tree: Tree) -> _Kind | None:
    """The variant whose batches the tree contains; None if it contains none."""
    places = {posixpath.basename(name): name for name in tree.others}
    ten = {place: "test" if name == "test_batch" else "train" for name, place in places.items()
           if BATCH_NAME.fullmatch(name)}  # fmt: skip
    if ten and "batches.meta" in places:
        return _Kind("CIFAR-10", dict(sorted(ten.items())), places["batches.meta"], "labels", "label_names")
    if {"train", "test", "meta"} <= set(places):
        hundred = {places[name]: name for name in ("train", "test")}
        return _Kind("CIFAR-100", hundred, places["meta"], "fine_labels", "fine_label_names")
    return None


def read_cifar_batches(tree: Tree) -> Listing:
    """Listing of all batches. DataError when the tree has no batches or they do not follow the format."""
    kind = find_batches(tree)
    if kind is None:
        raise DataError(f"{tree.title} holds no CIFAR batches (data_batch_1 ... and batches.meta, or train, test and "
                        "meta), and data.layout is `cifar`")  # fmt: skip
    meta = read_pickle(tree.file(kind.meta))
    samples = Samples.of(sample for batch in kind.batches for sample in _samples(tree, kind, batch, meta))
    summary = f"{kind.name} python batches: {len(set(samples.labels))} classes, {len(samples)} pictures"
    return Listing(tree.root, samples, ("image",), summary, "cifar", list(tree.findings))


def _samples(tree: Tree, kind: _Kind, name: str, meta: dict[str, object]) -> Iterator[Sample]:
    batch = open_cifar(tree.file(name))
    if kind.labels_key not in batch.labels:
        raise DataError(f"{tree.title_of(name)} has no `{kind.labels_key}`")
    names, coarse = _names(tree, kind, meta, kind.names_key), batch.labels.get("coarse_labels")
    groups = _names(tree, kind, meta, "coarse_label_names") if coarse else []
    for number, label in enumerate(batch.labels[kind.labels_key]):
        if not 0 <= label < len(names):
            raise DataError(f"{tree.title_of(name)}: the label {label} has no name; there are {len(names)}")
        extra = {"coarse_label": groups[coarse[number]]} if coarse and coarse[number] < len(groups) else {}
        locator = add_step(tree.locator(name), "cifar", str(number))
        id = f"{posixpath.basename(name)}/{number}"
        yield Sample(id, names[label], {"image": locator}, kind.batches[name], extra=extra)


def _names(tree: Tree, kind: _Kind, meta: dict[str, object], key: str) -> list[str]:
    names = meta.get(key)
    if not isinstance(names, list) or not all(isinstance(name, (bytes, str)) for name in names):
        raise DataError(f"{tree.title_of(kind.meta)} has no list `{key}`")
    return [name.decode("utf-8", "replace") if isinstance(name, bytes) else name for name in names]


def is_source(tree: Tree) -> bool:
    """Whether the tree has CIFAR batches near its top."""
    return find_batches(tree) is not None


def read(tree: Tree, views: Sequence[str] | None, spec: DataSpec) -> Listing:
    """Listing of all batches, with one view."""
    return one_view(read_cifar_batches(tree), views)


SOURCE = Source(read, is_source)
