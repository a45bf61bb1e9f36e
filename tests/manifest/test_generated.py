"""The generated sets: the label rule holds, pictures are reproducible, and nothing of the user's is ever replaced."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from obverse.errors import OutputError, RecipeError
from obverse.manifest.generated import (
    GRADES,
    SHAPES,
    best_single_view_accuracy,
    coin_sides,
    draw_coin,
    generate_coins,
    generate_shapes,
)

Generate = Callable[..., Any]
both = pytest.mark.parametrize("generate", [generate_coins, generate_shapes])


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_label_is_the_worse_side_and_one_side_shows_it_by_a_coin_flip() -> None:
    sides = [coin_sides(index, 7) for index in range(2000)]
    assert all(y == min(obverse, reverse) for y, obverse, reverse in sides)
    assert [y for y, *_ in sides] == [index % 5 for index in range(2000)]
    below_top = [(y, obverse, reverse) for y, obverse, reverse in sides if y < 4]
    assert all(obverse != reverse for _, obverse, reverse in below_top)
    assert np.mean([y == obverse for y, obverse, _ in below_top]) == pytest.approx(0.5, abs=0.04)


def test_better_side_is_uniform_over_the_strictly_better_grades() -> None:
    better = Counter(max(sides) for sides in (coin_sides(index, 3)[1:] for index in range(0, 10_000, 5)))
    assert set(better) == {1, 2, 3, 4}
    assert all(count / 2000 == pytest.approx(0.25, abs=0.04) for count in better.values())


@pytest.mark.parametrize("view", [1, 2])
def test_best_single_view_accuracy_is_what_a_look_up_table_of_one_side_reaches(view: int) -> None:
    pairs = Counter((sides[0], sides[view]) for sides in (coin_sides(index, 0) for index in range(10_000)))
    reached = sum(max(count for (_, g), count in pairs.items() if g == shown) for shown in range(5)) / 10_000
    assert reached == pytest.approx(best_single_view_accuracy(5), abs=0.02)


@pytest.mark.parametrize(("num_grades", "expected"), [(1, 1.0), (2, 0.75), (5, 0.6), (10, 0.55)])
def test_best_single_view_accuracy_is_exact(num_grades: int, expected: float) -> None:
    assert best_single_view_accuracy(num_grades) == expected


def test_wear_takes_the_relief_step_by_step() -> None:
    contrasts: dict[int, list[float]] = {level: [] for level in range(5)}
    for index in range(40):
        for level, picture in zip(coin_sides(index, 0)[1:], draw_coin(index, 0, size=96).values(), strict=True):
            contrasts[level].append(float(np.asarray(picture.convert("L"))[30:66, 30:66].std()))
    means = [float(np.mean(contrasts[level])) for level in range(5)]
    assert means == sorted(means)
    assert means[4] > 2 * means[0]


def test_coins_layout(tmp_path: Path) -> None:
    made = generate_coins(tmp_path / "new" / "coins", num_samples=12, size=32)
    names = {f"{GRADES[i % 5]}/{side}/coin{i // 5 + 1:04d}.jpg" for i in range(12) for side in ("obverse", "reverse")}
    assert set(digests(made.folder)) == names
    with Image.open(made.folder / "MS65" / "reverse" / "coin0001.jpg") as picture:
        assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (32, 32))
    assert (made.num_samples, made.classes, made.best_single_view_accuracy) == (12, GRADES, 0.6)
    assert "worse of the two sides" in made.rule


def test_shapes_layout(tmp_path: Path) -> None:
    made = generate_shapes(tmp_path / "shapes", num_samples=20, size=32)
    assert made.classes == tuple(sorted(SHAPES))
    assert len(made.classes) >= 10
    expected = {f"{name}/{number:04d}.png" for name in SHAPES for number in (1, 2)} | {"sample.jpg"}
    assert set(digests(made.folder)) == expected
    assert made.sample == made.folder / "sample.jpg"
    with Image.open(made.folder / "star" / "0002.png") as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (32, 32))


@both
def test_classes_are_balanced(generate: Generate, tmp_path: Path) -> None:
    made = generate(tmp_path / "set", num_samples=30, size=16)
    counts = Counter(name.split("/")[0] for name in digests(made.folder) if "/" in name)
    assert set(counts) == set(made.classes)
    assert len(set(counts.values())) == 1


@both
def test_pictures_depend_on_seed_and_index_only(generate: Generate, tmp_path: Path) -> None:
    few, many, other = (tmp_path / name for name in ("few", "many", "other"))
    generate(few, num_samples=12, size=32, seed=5)
    generate(many, num_samples=24, size=32, seed=5)
    generate(other, num_samples=12, size=32, seed=6)
    assert digests(few).items() <= digests(many).items()
    assert not set(digests(few).values()) & set(digests(other).values())
    assert len(set(digests(many).values())) == len(digests(many))


@both
def test_an_empty_folder_is_accepted_and_a_used_one_refused(generate: Generate, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    generate(folder, num_samples=10, size=16)
    before = digests(folder)
    with pytest.raises(OutputError, match=r"set is not empty"):
        generate(folder, num_samples=10, size=16, seed=1)
    assert digests(folder) == before


@both
def test_a_file_in_the_way_is_refused(generate: Generate, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    with pytest.raises(OutputError, match=r"notes\.txt is a file"):
        generate(file, num_samples=10, size=16)
    with pytest.raises(OutputError, match="cannot be written"):
        generate(file / "below", num_samples=10, size=16)
    assert file.read_text() == "mine"


@both
@pytest.mark.parametrize(
    ("request_", "word"), [({"num_samples": 4}, "num_samples"), ({"size": 8}, "size"), ({"seed": -1}, "seed")]
)
def test_numbers_that_cannot_work_are_refused(
    generate: Generate, request_: dict[str, int], word: str, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=word):
        generate(tmp_path / "set", **request_)
    assert not (tmp_path / "set").exists()
