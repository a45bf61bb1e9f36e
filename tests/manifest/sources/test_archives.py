"""The same pictures as folder, zip, tar, Parquet or remote folder are the same samples with the same pixels."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from obverse.errors import DataError
from obverse.manifest import Index, build_index, read_source
from obverse.recipe import DataSpec

Tree = Callable[[Iterable[str]], Path]
Files = Callable[[Path], dict[str, bytes]]
Pack = Callable[[Path, Mapping[str, bytes]], Path]
NAMES = [f"{label}/{n}.png" for label in ("cat", "dog") for n in range(8)]
FORMS = ["x.zip", "x.deflated.zip", "x.tar", "x.tar.gz", "parquet", "remote folder", "remote zip"]


def in_form(form: str, files: Mapping[str, bytes], folder: Path, pack: Pack) -> Path:
    """The files as something else than a folder."""
    folder.mkdir()
    if form == "parquet":
        rows = [
            {"image": {"bytes": data, "path": name}, "label": name.split("/")[0]}
            for name, data in sorted(files.items(), reverse=True)
        ]
        for shard, part in enumerate((rows[:5], rows[5:])):
            pq.write_table(pa.Table.from_pylist(part), folder / f"{shard}.parquet", row_group_size=3)
        return folder
    memory = fsspec.filesystem("memory")
    if form == "remote folder":
        for name, data in files.items():
            memory.pipe(f"/{folder.name}/{name}", data)
        return Path(f"memory://{folder.name}")
    if form == "remote zip":
        memory.pipe(f"/{folder.name}.zip", pack(folder / "x.zip", files).read_bytes())
        return Path(f"memory://{folder.name}.zip")
    return pack(folder / form, files)


def described(index: Index) -> dict[str, Any]:
    """Everything about a sample but where its picture lies."""
    return {s.id: (s.label, s.split, s.group, s.digest) for s in index.manifest.samples}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_samples_and_pixels(
    tree: Tree, files_of: Files, pack: Pack, tmp_path: Path, form: str, request: pytest.FixtureRequest
) -> None:
    folder = build_index(tree(NAMES), DataSpec())
    other = build_index(in_form(form, files_of(tmp_path / "data"), tmp_path / request.node.name, pack), DataSpec())
    assert described(other) == described(folder)
    assert other.manifest.classes == folder.manifest.classes
    place = {s.id: s.views["image"] for s in other.manifest.samples}
    for sample in folder.manifest.samples:
        pixels = folder.manifest.store.decode(sample.views["image"])
        assert np.array_equal(other.manifest.store.decode(place[sample.id]), pixels)


def zipped(folder: Path, pack: Pack, files_of: Files) -> Path:
    return pack(folder.with_suffix(".zip"), files_of(folder))


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (
            [f"all/{label}/{view}/{n}.png" for label in "ab" for view in ("obverse", "reverse") for n in "12"],
            "view-folders",
        ),
        ([f"{split}/{label}/{n}.png" for split in ("train", "val") for label in "ab" for n in "12"], "class-folders"),
        ([f"{label}/coin{n}_{side}.jpg" for label in "ab" for side in ("obv", "rev") for n in "12"], "suffix-views"),
        ([f"w/{label}/600x300/{n}.png" for label in "ab" for n in "12"], "class-folders"),
    ],
)
def test_every_folder_layout_is_seen_in_a_zip(
    tree: Tree, files_of: Files, pack: Pack, names: list[str], layout: str
) -> None:
    root = tree(names)
    folder, archive = (read_source(path, DataSpec()) for path in (root, zipped(root, pack, files_of)))
    assert folder.layout == archive.layout == layout
    assert archive.views == folder.views
    assert archive.summary == f"in the archive data.zip: {folder.summary}"
    facts = [[(s.id, s.label, s.split, set(s.views)) for s in listing.samples] for listing in (folder, archive)]
    assert facts[0] == facts[1]


def test_what_other_systems_put_into_archives_is_no_sample(pack: Pack, tmp_path: Path) -> None:
    names = ["cat/1.png", "dog/2.png", "__MACOSX/cat/._1.png", ".git/x.png", "cat/.hidden.png", "cat/Thumbs.db"]
    listing = read_source(pack(tmp_path / "x.zip", dict.fromkeys(names, b"")), DataSpec())
    assert [s.id for s in listing.samples] == ["cat/1.png", "dog/2.png"]


@pytest.mark.parametrize("kind", ["x.zip", "x.tar"])
def test_members_that_lead_out_are_left_out_and_reported(
    pack: Pack, picture: Callable[[str], bytes], tmp_path: Path, kind: str
) -> None:
    names = [*NAMES, "../evil.png", "/abs/evil.png"]
    index = build_index(pack(tmp_path / kind, {name: picture(name) for name in names}), DataSpec())
    assert len(index.manifest.samples) == len(NAMES)
    (finding,) = [f for f in index.findings if f.code == "archive-member"]
    assert (finding.severity, set(finding.paths)) == ("warning", {"../evil.png", "/abs/evil.png"})
    assert not list(tmp_path.parent.rglob("evil.png"))


def test_an_encrypted_picture_stops_and_a_wholly_encrypted_zip_says_why(
    pack: Pack, picture: Callable[[str], bytes], tmp_path: Path
) -> None:
    path = pack(tmp_path / "x.zip", {name: picture(name) for name in NAMES})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"1 unusable .*'cat/0\.png' in the archive cannot be read: it is encrypted"):
        build_index(path, DataSpec())
    quarantined = build_index(path, DataSpec(on_bad_picture="quarantine"))
    assert len(quarantined.manifest.samples) == len(NAMES) - 1
    assert [f.severity for f in quarantined.findings if "encrypted" in f.message] == ["error"]
    place = -1
    while (place := data.find(b"PK\x01\x02", place + 1)) >= 0:
        data[place + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"16 unusable picture.*it is encrypted"):
        build_index(path, DataSpec())


def test_a_truncated_tar_is_one_sentence(pack: Pack, picture: Callable[[str], bytes], tmp_path: Path) -> None:
    path = pack(tmp_path / "x.tar", {name: picture(name) for name in NAMES})
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"x\.tar.*damaged or cut short"):
        read_source(path, DataSpec())


def test_a_member_that_is_damaged_is_an_unreadable_picture(
    pack: Pack, picture: Callable[[str], bytes], tmp_path: Path
) -> None:
    path = pack(tmp_path / "x.zip", {name: picture(name) for name in NAMES})
    data = bytearray(path.read_bytes())
    data[data.index(b"dog/3.png") + 40] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"member=dog/3\.png.*damaged"):
        build_index(path, DataSpec())


def test_a_tar_with_a_link_out_of_it(tmp_path: Path, picture: Callable[[str], bytes]) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name in NAMES:
            info = tarfile.TarInfo(name)
            info.size = len(picture(name))
            archive.addfile(info, io.BytesIO(picture(name)))
        link = tarfile.TarInfo("cat/passwd.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    index = build_index(tmp_path / "x.tar", DataSpec())
    assert [p for f in index.findings if f.code == "archive-member" for p in f.paths] == ["cat/passwd.png"]


def test_an_archive_in_an_archive_is_not_looked_into(pack: Pack, tmp_path: Path) -> None:
    inner = pack(tmp_path / "inner.zip", {"cat/1.png": b"", "dog/1.png": b""})
    with pytest.raises(DataError, match="no pictures below"):
        read_source(pack(tmp_path / "outer.zip", {"inner.zip": inner.read_bytes()}), DataSpec())


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tgz", "X.ZIP"])
def test_a_file_that_is_no_archive(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"this is no archive" * 99)
    with pytest.raises(DataError, match="no zip or tar archive"):
        read_source(tmp_path / name, DataSpec())


def test_an_empty_archive(tmp_path: Path) -> None:
    zipfile.ZipFile(tmp_path / "x.zip", "w").close()
    with pytest.raises(DataError, match="no pictures below"):
        read_source(tmp_path / "x.zip", DataSpec())


def test_a_remote_folder_that_is_not_there() -> None:
    with pytest.raises(DataError, match="'memory://nowhere/at/all' does not exist"):
        read_source(Path("memory://nowhere/at/all"), DataSpec())


def test_an_unpaired_member_is_named_as_in_the_archive(tree: Tree, files_of: Files, pack: Pack, tmp_path: Path) -> None:
    coins = [f"{grade}/{side}/{i}.png" for grade in "ab" for side in ("obverse", "reverse") for i in range(9)]
    root = tree([*coins, "a/obverse/Coin17.PNG"])
    findings = build_index(pack(tmp_path / "coins.zip", files_of(root)), DataSpec()).findings
    assert [f.message for f in findings if f.code == "unpaired-view"] == ["No matching reverse for Coin17.PNG"]
