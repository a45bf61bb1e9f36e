"""A layout that the data does not have is refused in one sentence that says what would be one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import get_args

import pytest

from obverse.errors import DataError
from obverse.manifest import read_source
from obverse.recipe import DataSpec, Layout

Tree = Callable[[Iterable[str]], Path]
# What each layout says about plain class folders, about a list of files, and about a file that is neither.
REFUSALS = {
    "class-folders": (None, "is a table, and data.layout is `class-folders`", "is a file; give a folder"),
    "view-folders": ("no view folders", "is a table, and data.layout is `view-folders`", "is a file; give a folder"),
    "object-folders": (
        "no folders of objects",
        "is a table, and data.layout is `object-folders`",
        "is a file; give a folder",
    ),
    "suffix-views": ("end in view words", "is a table, and data.layout is `suffix-views`", "is a file; give a folder"),
    "split-horizontal": (None, None, "is a file; give a folder"),
    "table": ("holds no table", None, "is a file; give a folder"),
    "manifest": ("holds no manifest", "is no prepared manifest", "is a file; give a folder"),
    "json-index": ("holds no index_<class>.json", "holds no index_<class>.json", "holds no index_<class>.json"),
    "parquet": ("holds no .parquet files", "holds no .parquet files", "holds no .parquet files"),
    "cifar": ("holds no CIFAR batches", "holds no CIFAR batches", "holds no CIFAR batches"),
}


def test_the_list_is_closed_and_every_layout_is_tried() -> None:
    assert set(get_args(Layout)) == {"auto", *REFUSALS}
    with pytest.raises(ValueError, match="layout"):
        DataSpec.model_validate({"layout": "nonsense"})


@pytest.mark.parametrize("layout", REFUSALS)
@pytest.mark.parametrize("kind", [0, 1, 2], ids=["folders", "table", "text file"])
def test_a_wrong_layout(tree: Tree, layout: Layout, kind: int) -> None:
    root = tree(["a/1.png", "b/1.png"])
    (root / "list.csv").write_text("label,image\na,a/1.png\n")
    (root / "notes.txt").write_text("hello")
    data = [tree(["a/1.png", "b/1.png"]), root / "list.csv", root / "notes.txt"][kind]
    if kind == 0:
        (root / "list.csv").unlink()
    words = REFUSALS[layout][kind]
    if words is None:
        assert len(read_source(data, DataSpec(layout=layout)).samples) > 0
        return
    with pytest.raises(DataError) as caught:
        read_source(data, DataSpec(layout=layout))
    assert words in str(caught.value)
    assert str(data) in str(caught.value)


@pytest.mark.parametrize("layout", ["json-index", "cifar"])
def test_layouts_with_one_view_refuse_others(tree: Tree, layout: Layout) -> None:
    root = tree(["a/1.png"])
    (root / "index_a.json").write_text('{"good": ["a/1.png"]}')
    if layout == "json-index":
        with pytest.raises(DataError, match=r"data\.views is front, back, and json-index has the one view image"):
            read_source(root, DataSpec(layout=layout, views=("front", "back")))
    else:
        with pytest.raises(DataError, match="holds no CIFAR batches"):
            read_source(root, DataSpec(layout=layout, views=("front", "back")))
