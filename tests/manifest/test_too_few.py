"""Fewer than two classes: the sentence names the reason and what to do, and the findings stand before it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from obverse.cli.main import app, main
from obverse.errors import DataError
from obverse.manifest import build_index
from obverse.manifest.check.check import check_data
from obverse.recipe import DataSpec

Tree = Callable[[Iterable[str]], Path]
HASHED = [f"{label}/{side}/coin{i}_{side[:3]}.png" for label in "xy" for side in ("obverse", "reverse") for i in (1, 2)]
TWO = [f"{label}/{i}.png" for label in ("cat", "dog") for i in range(4)]


def refusal(root: Path, **fields: Any) -> DataError:
    with pytest.raises(DataError, match="Need at least 2 classes, found ") as caught:
        build_index(root, DataSpec(**fields))
    (found,) = (f for f in check_data(root, DataSpec(**fields), advisory=False).findings if f.severity == "error")
    assert (found.code, found.message) == ("too-few-classes", str(caught.value))
    return caught.value


@pytest.mark.parametrize(
    ("names", "fields", "reason"),
    [
        (HASHED, {}, r"none .*obverse, reverse never pair, for example 'coin1_obv.png' and 'coin1_rev.png'.*"
                     r"table with the columns label,obverse,reverse.*data\.missing_view=keep"),
        ([*HASHED, "x/reverse/coin1_obv.png"], {}, "only 'x' .*pair in one class only"),
        (TWO, {"exclude_classes": ("cat", "dog")}, r"none .*data\.exclude_classes leaves out the others"),
        (TWO, {"exclude_classes": ("cat",)}, r"only 'dog' .*data\.exclude_classes leaves out the others"),
        (["1.png", "2.png"], {}, "none .*2 picture.s. lie directly in it, in no class folder"),
        (["train/1.png", "test/2.png"], {}, "none .*directly in test, train, in no class folder.*a table"),
        (["cat/1.png"], {}, "only 'cat' .*give the folder above it"),
        ([f"x/{side}/1.png" for side in ("front", "back")], {"layout": "view-folders"},
         "only 'x' .*views front, back of one class"),
    ],
)  # fmt: skip
def test_the_reason(tree: Tree, names: list[str], fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        raise refusal(tree(names), **fields)


def test_a_table_with_one_label(tree: Tree) -> None:
    root = tree(["1.png", "2.png"])
    (root / "t.csv").write_text("image,label\n1.png,cat\n2.png,cat\n")
    assert "every row has the same label" in str(refusal(root))


@pytest.mark.parametrize("packed", [False, True])
def test_files_of_other_kinds_are_counted(tmp_path: Path, packed: bool) -> None:
    root = tmp_path / "data"
    for name in ("cat/1.raw", "cat/2.raw", "dog/3.RAW", "notes.txt", ".git/x"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    path = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", root)) if packed else root
    with pytest.raises(DataError, match=r"no pictures below .* 4 file\(s\) of other kinds \(3 \.raw, 1 \.txt\)"):
        build_index(path, DataSpec())


def test_the_findings_are_details(tree: Tree) -> None:
    details = refusal(tree(HASHED)).details
    assert details[0].startswith("view folders obverse, reverse")
    assert "Warning: No matching reverse for coin1_obv.png ('x/obverse/coin1_obv.png')" in details
    assert details[-1] == "3 more of unpaired-view; `obverse check` lists them all"


def test_keeping_single_sides_trains(tree: Tree) -> None:
    assert build_index(tree(HASHED), DataSpec(missing_view="keep")).manifest.classes == ("x", "y")


@pytest.mark.parametrize("verb", ["prepare", "train"])
def test_the_command_shows_findings_before_the_sentence(
    tree: Tree, verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["obverse", verb, str(tree(HASHED))])
    with pytest.raises(SystemExit) as caught:
        main()
    lines = capsys.readouterr().err.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("Warning: No matching reverse"))
    assert caught.value.code == 65
    assert lines[-1].startswith("Error: Need at least 2 classes, found none")
    assert first < len(lines) - 1


def test_prepare_shows_every_kind_of_finding(tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning is shown although many of another kind come before it."""
    monkeypatch.chdir(tmp_path)
    names = [f"{label}/{side}/stamp{i}.png" for label in "ab" for side in ("uv", "vis") for i in range(90)]
    root = tree([*names, *(f"a/uv/odd{i}.png" for i in range(8))])
    printed = CliRunner().invoke(app, ["prepare", str(root)]).output
    assert "Warning: the folders uv, vis are taken as views" in printed
    assert printed.count("Warning: No matching vis") == 5
    assert "3 more of unpaired-view" in printed
