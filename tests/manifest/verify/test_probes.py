"""Shortcuts and exchanged views: reported where they are planted, silent where they are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from obverse.manifest.generated import generate_coins
from obverse.manifest.verify.probe import in_bins, out_of_fold, skill


def write(root: Path, encoded, draw, change, *, suffix: str = "png") -> Path:
    """40 pictures of each of two classes; change(image, is_bee) gives bytes."""
    for place in range(80):
        path = root / ("ant", "bee")[place % 2] / f"{place:03}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(change(draw(place), place % 2))
    return root


def bordered(image, is_bee):
    pixels = np.asarray(image).copy()
    pixels[:, :3] = 255 if is_bee else 0
    return Image.fromarray(pixels)


SHORTCUTS = {
    "the size of the file": lambda e: lambda image, is_bee: e(image, "JPEG", quality=95 if is_bee else 40),
    "the size of the picture": lambda e: lambda image, is_bee: e(image.resize((60, 48)) if is_bee else image),
    "the shape of the picture": lambda e: lambda image, is_bee: e(image.resize((50, 45)) if is_bee else image),
    "the mean colour": lambda e: (
        lambda image, is_bee: e(image.point([i // 3 for i in range(256)] * 3) if is_bee else image)
    ),
    "the border": lambda e: lambda image, is_bee: e(bordered(image, is_bee)),
}


@pytest.mark.parametrize("name", SHORTCUTS)
def test_a_shortcut(tmp_path, draw, encoded, findings, name):
    root = write(tmp_path / "data", encoded, draw, SHORTCUTS[name](encoded), suffix="jpg" if "file" in name else "png")
    found = [f for f in findings(root)["shortcut"] if f.message.startswith(name)]
    assert len(found) == 1
    assert found[0].score > found[0].threshold
    assert found[0].severity == ("note" if name in ("the mean colour", "the border") else "warning")
    assert "chance is 50.0 %" in found[0].message


def test_no_shortcut(tmp_path, draw, encoded, findings):
    assert findings(write(tmp_path / "data", encoded, draw, lambda image, is_bee: encoded(image))) == {}


def test_the_view_is_named(tmp_path, draw, encoded, findings):
    for place in range(80):
        for view in ("front", "back"):
            is_odd = view == "back" and place % 2
            path = tmp_path / "data" / "ab"[place % 2] / view / f"{place}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image = draw(2 * place + (view == "front"))
            path.write_bytes(encoded(image.resize((60, 48)) if is_odd else image))
    messages = [f.message for f in findings(tmp_path / "data")["shortcut"]]
    assert [m for m in messages if m.startswith("the size of the picture of back")]
    assert not [m for m in messages if "of front" in m]


def test_chance_is_covered_by_the_interval():
    rng = np.random.default_rng(0)
    labels_N = rng.integers(0, 4, 400)
    found = skill(rng.normal(size=(400, 10)), labels_N, 4)
    assert found.low < found.chance == 0.25 < found.high
    assert found.low < found.accuracy < found.high


def test_a_probe_never_sees_what_it_scores():
    """As many features as samples would fit any labels; out of fold they tell nothing."""
    rng = np.random.default_rng(1)
    labels_N = rng.integers(0, 2, 200)
    scores_NK = out_of_fold(rng.normal(size=(200, 200)), labels_N, 2)
    assert 0.35 < (scores_NK.argmax(axis=1) == labels_N).mean() < 0.65


def test_bins_tell_values_apart():
    values_N = np.array([1.0, 1.0, 2.0, 3.0, 3.0, 9.0])
    bins_NB = in_bins(values_N)
    assert (bins_NB.sum(axis=1) == 1).all()
    same = bins_NB @ bins_NB.T > 0
    assert (same == (values_N[:, None] == values_N)).all()


def exchange(root: Path, name: str) -> None:
    first, second = root / "obverse" / name, root / "reverse" / name
    first.rename(root / "aside")
    second.rename(first)
    (root / "aside").rename(second)


def test_exchanged_views(tmp_path, draw, encoded, findings):
    for place in range(60):
        for number, view in enumerate(("obverse", "reverse")):
            path = tmp_path / "data" / "ab"[place % 2] / view / f"{place:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(Image.blend(draw(number), draw(100 + 2 * place + number), 0.4)))
    assert findings(tmp_path / "data") == {}
    exchange(tmp_path / "data" / "a", "12.png")
    exchange(tmp_path / "data" / "b", "31.png")
    found = findings(tmp_path / "data")
    assert [f.paths[0] for f in found["swapped-views"]] == ["a/obverse/12.png", "b/obverse/31.png"]
    assert all(f.score < f.threshold < 0 for f in found["swapped-views"])
    assert list(found) == ["swapped-views"]


def test_a_sample_that_stands_on_its_head_is_not_exchanged(tmp_path, draw, encoded, findings):
    """Half of each reverse is the obverse upside down, so that such a sample is read the other way round."""
    bases = draw(0), Image.blend(draw(0).rotate(180), draw(1), 0.5)
    for place in range(80):
        for number, view in enumerate(("obverse", "reverse")):
            picture = Image.blend(bases[number], draw(100 + 2 * place + number), 0.3)
            path = tmp_path / "data" / "ab"[place % 2] / view / f"{place:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(picture.rotate(180) if place in (12, 33, 50) else picture))
    assert "swapped-views" not in findings(tmp_path / "data")
    exchange(tmp_path / "data" / "a", "20.png")
    exchange(tmp_path / "data" / "b", "31.png")
    found = findings(tmp_path / "data")
    assert {f.paths[0] for f in found["swapped-views"]} == {"a/obverse/20.png", "b/obverse/31.png"}


@pytest.mark.full
def test_of_exchanged_generated_coins_95_percent_are_named_and_no_other(tmp_path, findings):
    num_named = 0
    for seed in (0, 1):
        root = tmp_path / str(seed)
        generate_coins(root, num_samples=600, size=96, seed=seed)
        obverses = sorted(root.glob("*/obverse/*.jpg"))
        chosen = [obverses[n] for n in np.random.default_rng(seed).permutation(600)[:30]]
        for path in chosen:
            exchange(path.parents[1], path.name)
        named = {f.paths[0] for f in findings(root)["swapped-views"]}
        assert named <= {str(path.relative_to(root)) for path in chosen}
        num_named += len(named)
    assert num_named >= 0.95 * 60


def test_views_that_look_alike_are_passed_in_silence(tmp_path, make_set, findings):
    assert findings(make_set(tmp_path / "data", views=("obverse", "reverse"), per_class=40)) == {}
