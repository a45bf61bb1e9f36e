"""The gallery of predictions in Chromium: wide, narrow, dark, and filtered by decision."""

import io

import pytest
from PIL import Image

from obverse.inference import Failure, Prediction
from obverse.inference.showing.gallery import PredictionGallery, thumbnail_of

DECISIONS = ("accept", "review", "accept", "reject", "accept", "review")


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    gallery = PredictionGallery("percentages are not calibrated")
    for number, decision in enumerate(DECISIONS):
        labels = (("MS64" if number % 2 else "a class with a name that is long", 0.5 + number / 20),)
        prediction = Prediction(
            f"folder/picture {number}.jpg", labels, labels, confidence=labels[0][1], decision=decision,
            reason="its confidence 0.62 is below 0.80, from which val has 95 % right", set=("MS63", "MS64"),
            set_level=0.9, set_words="MS63 to MS64",
        )  # fmt: skip
        views = [thumbnail_of((name, Image.new("RGB", (300, 200 + 40 * number), "teal"))) for name in ("front", "back")]
        gallery.add(prediction, views[: 1 + number % 2])
    gallery.add(Failure("broken.jpg", "'broken.jpg' is unusable: it is no picture"), [])
    path = tmp_path_factory.mktemp("gallery") / "gallery.html"
    gallery.write(path, "Predictions of runs/first")
    return path


@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (390, "dark"), (1200, "dark")])
def test_it_fits_and_fetches_nothing(open_in_browser, serious_findings, page_file, width, scheme):
    page = open_in_browser(page_file, width, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("document.images.length == 9 && [...document.images].every(i => i.naturalWidth > 0)")
    assert [text for text in page.messages if not text.startswith(("data:image/", page_file.as_uri()[:60]))] == []
    assert serious_findings(page) == []


def test_a_decision_is_chosen(open_in_browser, page_file):
    page = open_in_browser(page_file, 1200)
    bar = page.get_by_role("group", name="Filter by decision")
    assert bar.locator("button").all_inner_texts() == ["all 7", "accept 3", "review 2", "reject 1", "no answer 1"]
    for name, num in (("review 2", 2), ("no answer 1", 1), ("all 7", 7)):
        button = bar.get_by_role("button", name=name)
        button.press("Enter")
        assert button.get_attribute("aria-pressed") == "true"
        assert bar.locator("[aria-pressed=true]").count() == 1
        assert page.locator("figure:visible").count() == num
    assert Image.open(io.BytesIO(page.screenshot())).size[0] == 1200
