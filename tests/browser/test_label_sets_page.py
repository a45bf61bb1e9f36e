"""The report of label sets in Chromium: pictures, table of classes and map follow the filter."""

import io

import numpy as np
import pytest
from PIL import Image

from obverse.decisions import LabelSet
from obverse.evaluation import Extras, Predictions, write_evaluation
from obverse.report import Picture

CLASSES = ("left", "middle", "right")
NUM = 120


def thumbnail(row):
    buffer = io.BytesIO()
    Image.new("RGB", (96, 96), (row, 90, 160)).save(buffer, "WEBP", quality=75)
    return (Picture(buffer.getvalue()),)


@pytest.fixture(scope="module")
def predictions():
    generator = np.random.default_rng(0)
    truth = generator.random((NUM, 3)) < 0.4
    sure = np.where(truth, 0.8, 0.2) + generator.normal(0, 0.25, (NUM, 3))
    return Predictions(
        split="test",
        classes=CLASSES,
        ids=tuple(f"{n}.jpg" for n in range(NUM)),
        truth=truth,
        probabilities_NK=sure.clip(0.01, 0.99).astype(np.float32),
        embeddings_ND=generator.random((NUM, 4), dtype=np.float32),
        kind=LabelSet((0.5,) * 3),
    )


@pytest.fixture(scope="module")
def report(predictions, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "test"
    write_evaluation(folder, predictions, facts={"data": "bands"}, extras=Extras(thumbnails=thumbnail))
    return folder / "report.html"


def test_the_panels_follow_a_label(report, predictions, open_in_browser):
    page = open_in_browser(report, 1200)
    page.wait_for_selector("html[data-ready]")
    page.get_by_label("true label", exact=True).select_option(label="middle")
    page.get_by_label("result", exact=True).select_option(label="wrong")
    wrong_N = (predictions.truth != predictions.answers).any(axis=1)
    chosen_N = predictions.truth[:, 1] & wrong_N
    summary = page.locator("[data-panel=answers] output").first.text_content()
    assert summary.startswith(f"{chosen_N.sum()} of {NUM} answers match")
    captions = page.locator("[data-panel=answers] figcaption").all_inner_texts()
    assert len(captions) == min(12, chosen_N.sum())
    assert all("middle" in caption.split("label ")[1].split("\n")[0] for caption in captions)
    assert page.locator("[data-panel=answers] img").count() == len(captions)
    rows = page.locator("table[data-table=classes] tbody tr").all()
    labels = [int(row.locator("td").first.text_content()) for row in rows]
    assert labels == predictions.truth[chosen_N].sum(axis=0).tolist()
    given = [int(row.locator("td").nth(1).text_content()) for row in rows]
    assert given == predictions.answers[chosen_N].sum(axis=0).tolist()
    # Precision of the selected rows, as the answers give it.
    both = (predictions.truth & predictions.answers)[chosen_N].sum(axis=0)
    shares = [row.locator("td").nth(2).text_content() for row in rows]
    assert shares == [f"{hits / num:.3f}" if num else "–" for hits, num in zip(both, given, strict=True)]
    assert page.locator("[data-panel=map] canvas").count() == 1
    page.get_by_role("button", name="Show all").click()
    assert f"{NUM} answers; {100 * (1 - wrong_N.mean()):.1f} % of them are right" in (
        page.locator("[data-panel=answers] output").first.text_content()
    )
    assert [message for message in page.messages if not message.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_without_scrolling_aside(report, open_in_browser, serious_findings, scheme):
    page = open_in_browser(report, 390, color_scheme=scheme)
    page.wait_for_selector("html[data-ready]")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert serious_findings(page) == []
