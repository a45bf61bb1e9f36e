"""`obverse predict --html` and `--save-images`: what people look at, and nothing of theirs changed."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from obverse.inference import Prediction, load
from obverse.inference.showing import Showing, show
from obverse.inference.showing.gallery import PredictionGallery

HOSTILE = "<script>alert(1)</script>.png"


@pytest.fixture(scope="module")
def mixed(tmp_path_factory, shapes):
    """Pictures in two folders with equal names, one with markup in its name, and a text with such a name."""
    folder = tmp_path_factory.mktemp("mixed")
    for number, picture in enumerate(sorted(shapes.glob("*/*.png"))[:12]):
        path = folder / "ab"[number % 2] / f"p{number // 2}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture.read_bytes())
    (folder / "a" / "p1.png").write_text("no picture", encoding="utf-8")
    (folder / "a" / "p2.png").rename(folder / "a" / HOSTILE.replace("/", "-"))
    return folder


def test_a_page_and_copies(obverse, refused, tree, shapes_run, mixed, tmp_path):
    before = tree(mixed)
    printed = obverse("predict", shapes_run, mixed, "--format", "json")
    to = ("--html", tmp_path / "page.html", "--save-images", tmp_path / "copies")
    result = obverse("predict", shapes_run, mixed, "--format", "json", *to)
    assert (result.code, result.out) == (65, printed.out)
    assert f"gallery: {tmp_path / 'page.html'}\n" in result.err
    assert tree(mixed) == before
    text = (tmp_path / "page.html").read_text()
    rows = json.loads(printed.out)
    assert text.count("<figure") == 12
    assert text.count('src="data:image/webp') == 11
    assert text.count('data-group="no answer"') == 1
    assert "is unusable" in text
    assert "<script>alert" not in text
    assert "ended early" not in text
    decisions = [row.get("decision", "no answer") for row in rows]
    assert re.findall(r'data-group="([a-z ]+)"', text) == decisions
    copies = sorted((tmp_path / "copies").iterdir())
    assert [path.name[:6] for path in copies] == [f"{n + 1:06d}" for n, row in enumerate(rows) if "error" not in row]
    assert {path.name[6:] for path in copies} >= {"-p0.jpg", "-p5.jpg", "-script-alert-1--script.jpg"}
    with Image.open(copies[0]) as copy:
        assert copy.width >= 320
        band = np.asarray(copy)[-30:]
        assert band.std() > 20  # letters on a colour
        assert not copy.getexif()
    refused(73, "page.html' is there already", "predict", shapes_run, mixed, "--html", tmp_path / "page.html",
            untouched=tmp_path)  # fmt: skip
    refused(73, "copies' is not empty", "predict", shapes_run, mixed, "--save-images", tmp_path / "copies",
            untouched=tmp_path)  # fmt: skip
    refused(2, "leave --out out", "predict", shapes_run, mixed, "--html", tmp_path / "x", "--out", tmp_path / "r.csv")


def test_views_are_side_by_side(obverse, coins, coins_run, tmp_path):
    front, back = next(coins.glob("*/obverse/*")), next(coins.glob("*/reverse/*"))
    to = ("--html", tmp_path, "--save-images", tmp_path / "copies")
    result = obverse("predict", coins_run, "--view", f"obverse={front}", "--view", f"reverse={back}", *to)
    assert result.code == 0, result.err
    text = (tmp_path / "gallery.html").read_text()
    assert text.index('alt="obverse"') < text.index('alt="reverse"')
    (copy,) = (tmp_path / "copies").iterdir()
    with Image.open(copy) as picture:
        assert picture.width > picture.height


def test_an_interrupted_command_leaves_the_page_of_what_it_has(shapes_run, mixed, tmp_path):
    predictor = load(shapes_run, device="cpu")
    items = predictor.find([mixed])
    shown = show(predictor, items, predictor.each(items), Showing(tmp_path / "page.html"))
    assert [next(shown).id for _ in range(3)] == [item.id for item in items[:3]]
    with pytest.raises(KeyboardInterrupt):
        shown.throw(KeyboardInterrupt)
    text = (tmp_path / "page.html").read_text()
    assert text.count("<figure") == 3
    assert "The command ended early" in text
    show(predictor, items, predictor.each(items), Showing(tmp_path / "none.html")).close()
    assert not (tmp_path / "none.html").exists()


def test_a_page_has_its_limit(obverse, shapes_run, mixed, tmp_path, monkeypatch):
    monkeypatch.setattr("obverse.inference.showing.gallery.MOST_SAMPLES", 5)
    obverse("predict", shapes_run, mixed, "--html", tmp_path)
    text = (tmp_path / "gallery.html").read_text()
    assert text.count("<figure") == 5
    assert "The first 5 of 12 samples" in text
    assert "--shard 1/3" in text


def test_a_label_set_has_the_probability_of_each_class_and_none_of_the_whole():
    gallery = PredictionGallery("note")
    thresholds = {"red": 0.5, "round": 0.5}
    labels = (("red", 0.9), ("round", 0.6))
    gallery.add(Prediction("a.png", labels, labels, thresholds, confidence=0.0003), ())
    gallery.add(Prediction("b.png", (), labels, thresholds, confidence=0.0003), ())
    first, second = gallery.items
    assert (first.answer, first.confidence) == ("red 90.0 %, round 60.0 %", None)
    assert (second.answer, second.confidence) == ("no class reaches its threshold", None)
