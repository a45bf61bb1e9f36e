"""Views by suffix and by halves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from obverse.errors import DataError
from obverse.manifest import build_index, read_source
from obverse.recipe import DataSpec

Tree = Callable[[Iterable[str]], Path]
COINS = [f"{grade}/coin{n}_{side}.jpg" for grade in ("ms65", "au50") for n in range(10) for side in ("obv", "rev")]


def read(root: Path, **fields: Any) -> Any:
    return read_source(root, DataSpec(**fields))


def test_suffixes_pair_within_a_class(tree: Tree) -> None:
    listing = read(tree(COINS))
    assert listing.views == ("obv", "rev")
    assert "view suffixes obv, rev" in listing.summary
    found = {s.id: dict(s.views) for s in listing.samples}
    assert len(found) == 20
    assert found["au50/coin3"] == {"obv": "au50/coin3_obv.jpg", "rev": "au50/coin3_rev.jpg"}


@pytest.mark.parametrize(
    "names", [("1-FRONT.jpg", "1-Back.png"), ("a b front.jpg", "A B Back.jpg"), ("x.front.png", "x.back.png")]
)
def test_separators_and_cases(tree: Tree, names: tuple[str, str]) -> None:
    listing = read(tree([f"{label}/{name}" for label in "ab" for name in names]))
    assert [set(s.views) for s in listing.samples] == [{"front", "back"}] * 2


def test_an_unpaired_suffix_is_reported(tree: Tree) -> None:
    index = build_index(tree([*COINS, "ms65/coin17_obv.jpg"]), DataSpec())
    assert [f.message for f in index.findings if f.code == "unpaired-view"] == ["No matching rev for coin17_obv.jpg"]
    assert len(index.manifest.samples) == 20


def test_a_picture_without_suffix_is_left_out_with_a_note(tree: Tree) -> None:
    listing = read(tree([*COINS, "ms65/slab.jpg"]))
    assert [(f.code, f.paths) for f in listing.findings] == [("loose-picture", ("ms65/slab.jpg",))]
    assert len(listing.samples) == 20


def test_suffixes_that_hardly_pair_are_no_views(tree: Tree) -> None:
    names = [f"{label}/{n}_{'left' if n % 2 else 'right'}.png" for label in "ab" for n in range(10)]
    assert read(tree(names)).views == ("image",)
    assert read(tree(names), layout="suffix-views").views == ("left", "right")


def test_a_word_that_merely_ends_like_a_view_is_none(tree: Tree) -> None:
    names = [f"{label}/{word}{n}.png" for label in "ab" for word in ("bright", "copyleft") for n in range(3)]
    assert read(tree([f"{label}/{name}.png" for label in "ab" for name in ("bright", "copyleft")])).views == ("image",)
    assert read(tree(names)).views == ("image",)


def test_suffixes_can_be_named(tree: Tree) -> None:
    names = [f"{label}/{n}_{view}.png" for label in "ab" for n in range(3) for view in ("uv", "vis")]
    assert read(tree(names)).views == ("image",)
    assert read(tree(names), views=("vis", "uv")).views == ("vis", "uv")
    with pytest.raises(DataError, match="end in view words"):
        read(tree(names), layout="suffix-views")


def test_suffixes_can_be_overridden(tree: Tree) -> None:
    assert read(tree(COINS), layout="class-folders").views == ("image",)


def test_two_pictures_of_one_view_stop(tree: Tree) -> None:
    with pytest.raises(DataError, match="2 pictures could be the same view"):
        build_index(tree([*COINS, "ms65/coin1_obv.png"]), DataSpec())


def test_halves_of_frames_are_views(tree: Tree) -> None:
    root = tree([f"{grade}/6000x3000/{n}.png" for grade in ("ms65", "au50") for n in range(8)])
    index = build_index(root, DataSpec(layout="split-horizontal", views=("obverse", "reverse")))
    assert (index.layout, index.manifest.views) == ("split-horizontal", ("obverse", "reverse"))
    sample = index.manifest.samples[0]
    frame = index.manifest.store.decode(f"{sample.id}")
    sides = [index.manifest.store.decode(sample.views[view]) for view in index.manifest.views]
    assert np.array_equal(sides[0], frame[:, :2])
    assert np.array_equal(sides[1], frame[:, -2:])
    assert sample.label in ("ms65", "au50")
    assert index.facts.size_of[sample.views["obverse"]] == (4, 2)


def test_halves_keep_the_given_split_and_have_names_of_their_own(tree: Tree) -> None:
    listing = read(tree([f"{s}/{label}/1.png" for s in ("train", "test") for label in "ab"]), layout="split-horizontal")
    assert listing.views == ("left", "right")
    assert {s.split for s in listing.samples} == {"train", "test"}


def test_halves_of_a_table(tree: Tree) -> None:
    root = tree(["pictures/1.png", "pictures/2.png"])
    (root / "t.csv").write_text("label,image,split\na,pictures/1.png,train\nb,pictures/2.png,val\n")
    listing = read(root / "t.csv", layout="split-horizontal")
    assert listing.samples[1].views == {"left": "pictures/2.png::half=left", "right": "pictures/2.png::half=right"}
    assert listing.samples[1].split == "val"


def test_halves_need_one_picture_and_two_names(tree: Tree) -> None:
    root = tree(["a/1.png", "b/2.png"])
    with pytest.raises(DataError, match=r"data\.views names 3"):
        read(root, layout="split-horizontal", views=("a", "b", "c"))
    (root / "t.csv").write_text("label,front,back\nx,a/1.png,b/2.png\n")
    with pytest.raises(DataError, match="needs one picture per sample"):
        read(root / "t.csv", layout="split-horizontal")
