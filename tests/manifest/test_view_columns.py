"""Views in columns: one empty cell costs one picture, and a sample's digest and split do not depend on the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from obverse.data import Geometry
from obverse.data.caches.disk import CacheContent
from obverse.errors import DataError
from obverse.manifest import Manifest, Sample, Samples, build_index, read_manifest, write_prepared
from obverse.manifest.split.stored import keep_stored
from obverse.recipe import DataSpec, SplitSpec

Tree = Callable[[Iterable[str]], Path]
BY_DIGEST = DataSpec(split=SplitSpec(strategy="digest"))
NUM = 40


def pairs(tree: Tree) -> Path:
    return tree([f"{view}{n}.png" for n in range(NUM) for view in "or"] + ["new.png"])


def table(root: Path, *rows: str, header: str = "label,obverse,reverse") -> Path:
    (root / "t.csv").write_text("\n".join([header, *rows]) + "\n")
    return root / "t.csv"


def rows_of(num: int = NUM) -> list[str]:
    return [f"{'ab'[n % 2]},o{n}.png,r{n}.png" for n in range(num)]


@pytest.mark.parametrize("hole", [0, 7])
def test_an_empty_cell_of_a_view_costs_that_view_alone(tree: Tree, hole: int) -> None:
    root, rows = pairs(tree), rows_of()
    rows[hole] = rows[hole].replace(f"o{hole}.png", "")
    index = build_index(table(root, *rows), DataSpec())
    for path in (root / "run.csv", root / "prepared.csv"):
        (write_prepared if path.name == "prepared.csv" else Manifest.write)(index.manifest, path)
        assert path.read_text().splitlines()[0] == "id,label,split,group,digest,obverse,reverse"
    read = read_manifest(root / "run.csv", root=root, classes="ab", views=("obverse", "reverse"), ordered=False)
    assert read.samples == index.manifest.samples
    assert [s.id for s in read.samples if "obverse" not in s.views] == [f"r{hole}.png"]
    assert build_index(root / "prepared.csv", DataSpec()).manifest.samples == index.manifest.samples


def as_split(index_of: Manifest) -> dict[str, tuple[str | None, str | None]]:
    return {s.id: (s.split, s.digest) for s in index_of.samples}


@pytest.mark.parametrize("place", [0, 20, NUM])
def test_one_more_row_that_lacks_the_first_view_moves_no_other(tree: Tree, place: int) -> None:
    root, rows = pairs(tree), rows_of()
    before = as_split(build_index(table(root, *rows), BY_DIGEST).manifest)
    rows.insert(place, "a,,new.png")
    after = as_split(build_index(table(root, *rows), BY_DIGEST).manifest)
    assert len(after) == NUM + 1
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize("lone", ["a/reverse/0000.png", "a/0000_reverse.png"])
def test_a_picture_without_its_other_side_moves_nothing(tree: Tree, lone: str) -> None:
    is_folder = "/reverse/" in lone
    name = "{c}/{v}/k{n}.png" if is_folder else "{c}/k{n}_{v}.png"
    names = [name.format(c="ab"[n % 2], v=v, n=n) for n in range(NUM) for v in ("obverse", "reverse")]
    before = as_split(build_index(tree(names), BY_DIGEST).manifest)
    root = tree([*names, lone])
    assert as_split(build_index(root, BY_DIGEST).manifest) == before
    kept = as_split(build_index(root, BY_DIGEST.changed({"missing_view": "keep"})).manifest)
    assert len(kept) == NUM + 1
    assert {key: kept[key] for key in before} == before


def test_cached_pixels_are_found_whatever_the_other_samples_lack(tree: Tree) -> None:
    root, rows = pairs(tree), rows_of(8)
    geometry = Geometry(8, 8, 8, 8)
    keys = []
    for more in ([], ["a,,new.png"]):
        manifest = build_index(table(root, *more, *rows), DataSpec()).manifest
        samples = manifest.samples.where(name != "new.png" for name in manifest.samples.ids)
        keys.append(CacheContent(manifest, samples, geometry, "raw").keys())
    assert keys[0] == keys[1]
    assert len(set(keys[0].values())) == 16


def test_a_columns_name_occurs_once_when_it_is_written_and_when_it_is_read(tmp_path: Path) -> None:
    sample = Sample("x", "a", {"obverse": "1.png"}, "train", extra={"obverse": ""})
    manifest = Manifest(tmp_path, Samples.of([sample]), ("a",), ("obverse",))
    path = tmp_path / "m.csv"
    with pytest.raises(DataError, match=r"m\.csv: the column `obverse` occurs twice"):
        manifest.write(path)
    assert not path.exists()
    replace(manifest, samples=Samples.of([replace(sample, extra={})])).write(path)
    path.write_text(
        "".join(f"{line},{end}\n" for line, end in zip(path.read_text().splitlines(), ["obverse", ""], strict=True))
    )
    with pytest.raises(DataError, match="`obverse` occurs twice"):
        read_manifest(path, root=tmp_path, classes="a", views=("obverse",), ordered=False)
    with pytest.raises(DataError, match=r"data\.split\.stored: .* `obverse` occurs twice"):
        keep_stored(manifest.samples, path)


def test_an_extra_column_called_like_a_manifests_own_gets_another_name(tree: Tree) -> None:
    root = tree(["1.png", "2.png", "3.png", "4.png"])
    rows = [f"{n}.png,{n % 2},{(n + 1) % 2},{n},I{n},i{n}" for n in range(1, 5)]
    spec = DataSpec(label_columns=("a", "b"), split=SplitSpec(train=0.5, val=0.25, test=0.25))
    index = build_index(table(root, *rows, header="image,a,b,labels,ID,id"), spec)
    assert dict(index.manifest.samples[0].extra) == {"source_labels": "1", "source_id": "i1"}
    index.manifest.write(root / "m.csv")
    assert [*index.manifest.samples.ids] == ["I1", "I2", "I3", "I4"]
    assert build_index(root / "m.csv", DataSpec()).manifest.samples == index.manifest.samples
