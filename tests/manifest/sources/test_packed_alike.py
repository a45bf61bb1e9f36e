"""A folder, a zip and a tar of it give the same samples, whatever the layout."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

import fsspec
import pytest

from obverse.inference.expansion import Expansion
from obverse.inference.inputs import find_requests
from obverse.manifest import read_source
from obverse.manifest.store import parse_locator
from obverse.recipe import DataSpec

Tree = Callable[[Iterable[str]], Path]
NFD = unicodedata.normalize("NFD", "é")
LAYOUTS = {
    "classes": ["cat/1.png", "dog/1.png", "dog/@eaDir/1.png/THUMB.jpg"],
    "wrapped": ["set/cat/1.png", "set/dog/1.png"],
    "hands": ["hands/left/1.png", "hands/right/1.png"],
    "splits": [f"seg_{s}/seg_{s}/{label}/{s}.png" for s in ("train", "test") for label in "ab"],
    "splits in classes": [f"{label}/{s}/1.png" for s in ("train", "val") for label in "ab"],
    "views": [f"{label}/{side}/coin.png" for label in "ab" for side in ("Obverse", "Reverse")],
    "views above": [f"{side}/{label}/coin.png" for label in "ab" for side in ("obverse", "reverse")],
    "suffixes": [f"{label}/coin_{side}.png" for label in "ab" for side in ("obv", "rev")],
    "pairs": [f"{label}/{side}/stamp.png" for label in "ab" for side in ("uv", "vis")],
    "numbered": [f"{label}/{side}/1.png" for label in "ab" for side in ("sick", "well")],
    "sizes": ["a/600x300/1.png", "a/300x150/1.png", "b/600x300/1.png"],
    "forms": [f"train/caf{NFD}/1.png", "val/café/1.png", "train/tea/1.png", "val/tea/1.png"],
    "table": ["part_1/1.png", "part_2/2.png", "labels.csv"],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_packed_alike(tree: Tree, tmp_path: Path, layout: str) -> None:
    names = LAYOUTS[layout]
    root = tree(name for name in names if not name.endswith(".csv"))
    if "labels.csv" in names:
        (root / "labels.csv").write_text("image,label\n1,a\n2,b\n")
    folder = read_source(root, DataSpec())
    expected = [(s.id, s.label, s.split, s.group, dict(s.views)) for s in folder.samples]
    assert len(expected) >= 2
    for kind in ("zip", "tar"):
        packed = read_source(Path(shutil.make_archive(str(tmp_path / kind), kind, root)), DataSpec())
        found = [
            (s.id, s.label, s.split, s.group, {view: parse_locator(path)[1][-1][1] for view, path in s.views.items()})
            for s in packed.samples
        ]
        assert found == expected
        assert (packed.views, packed.layout) == (folder.views, folder.layout)
        assert packed.summary == f"in the archive {kind}.{kind}: {folder.summary}"
        assert [f.code for f in packed.findings] == [f.code for f in folder.findings]


def test_a_remote_folder_is_read_like_a_local_one(tree: Tree) -> None:
    files = fsspec.filesystem("memory")
    root = tree([*LAYOUTS["hands"], "hands/left/#recycle/1.png", "System Volume Information/2.png"])
    for path in root.rglob("*.png"):
        files.pipe(f"/alike/{path.relative_to(root)}", path.read_bytes())
    local, remote = read_source(root, DataSpec()), read_source(Path("memory://alike"), DataSpec())
    assert [(s.id, s.label) for s in remote.samples] == [(s.id, s.label) for s in local.samples]
    assert {s.label for s in remote.samples} == {"left", "right"}


@pytest.mark.parametrize("packed", [False, True])
def test_prediction_leaves_out_what_a_system_added(tree: Tree, tmp_path: Path, packed: bool) -> None:
    root = tree(["a/1.png", "a/@eaDir/1.png/THUMB.jpg", "$RECYCLE.BIN/2.png"])
    path = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", root)) if packed else root
    assert [request.id for request in find_requests(path, Expansion(("image",)))] == [str(path / "a/1.png")]


@pytest.mark.parametrize("layout", ["views", "views above"])
def test_prediction_pairs_views_on_either_side_of_the_classes(tree: Tree, layout: str) -> None:
    root = tree(LAYOUTS[layout])
    requests = find_requests(root, Expansion(("obverse", "reverse")))
    assert [(r.id, len(r.views)) for r in requests] == [(str(root / f"{label}/coin"), 2) for label in "ab"]
