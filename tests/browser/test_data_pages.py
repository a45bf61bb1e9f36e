"""Pages about data in Chromium: findings of a check, and suspect labels with what speaks against them."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from obverse.manifest.check.check import check_data
from obverse.manifest.check.check_report import check_html
from obverse.recipe import DataSpec
from obverse.report import Picture, to_html
from obverse.trust.suspects import Evidence, nearest, rank
from obverse.trust.suspects.page import suspects_page

NUM, CLASSES = 60, ("G04", "a grade with a long name " * 4, "<b>MS65")
NAMES = ("check", "suspects")


def checked(folder, draw_picture):
    """A check that finds an empty file and copies under two labels."""
    for number in range(12):
        draw_picture(folder / ("dark", "light")[number % 2] / f"{number}.png", size=(60, 90), seed=number)
    shutil.copy(folder / "dark/0.png", folder / "light/copy.png")
    (folder / "dark/empty.png").write_bytes(b"")
    return check_data(folder, DataSpec())


def ranking():
    """Samples of three classes, every tenth with a wrong label."""
    generator, truth_N = np.random.default_rng(0), np.arange(NUM) % 3
    features_ND = (np.eye(3)[truth_N] * 6 + generator.normal(size=(NUM, 3))).astype(np.float32)
    given_N = np.where(np.arange(NUM) % 10, truth_N, (truth_N + 1) % 3)
    evidence = Evidence(
        ids=tuple(f"{'folder' * 12}/coin-{n}.jpg" for n in range(NUM)), classes=CLASSES,
        given_NK=np.eye(3, dtype=bool)[given_N], probabilities_NK=np.full((NUM, 3), 0.05) + 0.85 * np.eye(3)[truth_N],
        judges=("the model",) * NUM, neighbours=nearest(features_ND, [None] * NUM),
    )  # fmt: skip
    return rank(evidence)


def thumbnails(row):
    buffer = io.BytesIO()
    Image.new("RGB", (96, 80), (4 * row, 90, 90)).save(buffer, "WEBP")
    return (Picture(buffer.getvalue(), "obverse"),)


@pytest.fixture(scope="module")
def files(tmp_path_factory, draw_picture):
    folder = tmp_path_factory.mktemp("pages")
    (folder / "suspects.html").write_text(
        to_html(suspects_page(ranking(), "coins", used=("The model.",), thumbnails=thumbnails)), encoding="utf-8"
    )
    (folder / "check.html").write_text(check_html(checked(folder / "data", draw_picture)), encoding="utf-8")
    return folder


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1440, "light")])
@pytest.mark.parametrize("name", NAMES)
def test_they_fit_fetch_nothing_and_can_be_used_by_all(open_in_browser, serious_findings, files, name, width, scheme):
    page = open_in_browser(files / f"{name}.html", width, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("document.images.length > 1 && [...document.images].every(i => i.naturalWidth > 0)")
    own = (files / f"{name}.html").as_uri()[:60]
    assert [text for text in page.messages if not text.startswith(("data:image/webp", own))] == []
    assert serious_findings(page) == []


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_that_speaks_against_a_label_is_cut_off(open_in_browser, files, width):
    page = open_in_browser(files / "suspects.html", width)
    notes = page.locator(".item-note")
    assert notes.count() == 6
    for note in notes.all():
        assert " nearest: " in note.inner_text()
        assert note.evaluate("node => node.scrollHeight <= node.clientHeight && node.scrollWidth <= node.clientWidth")
    assert page.locator(".named").first.inner_text() == "obverse"
    assert page.locator(".named").nth(1).inner_text().startswith("near: ")


def test_copies_lie_side_by_side(open_in_browser, files):
    page = open_in_browser(files / "check.html", 1200)
    section = page.locator("section", has_text="light/copy.png").first
    boxes = [figure.bounding_box() for figure in section.locator("figure").all()]
    assert len(boxes) == 2
    assert len({box["y"] for box in boxes}) == 1
