"""The report of an evaluation in Chromium: nothing is fetched, panels follow one filter, the keyboard reaches all."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from obverse.decisions import OneClass
from obverse.evaluation import Extras, History, Predictions, write_evaluation
from obverse.report import Facet, Picture

CLASSES = ("G04", "VF20", "XF40", "AU50", "</script><b>MS65")
NUM = 200
NAMELESS = """
() => [...document.querySelectorAll('button, select, input, canvas, svg[role=img]')].filter(node =>
  !(node.getAttribute('aria-label') || (node.labels && node.labels.length) || node.textContent.trim() || node.title)
).map(node => node.outerHTML.slice(0, 90))
"""


def thumbnails(row):
    """Two views of a row, as the data's reader gives them."""
    pictures = []
    for view, shade in (("obverse", 60), ("reverse", 160)):
        buffer = io.BytesIO()
        Image.new("RGB", (96, 96), (shade, row, 90)).save(buffer, "WEBP", quality=75)
        pictures.append(Picture(buffer.getvalue(), view))
    return tuple(pictures)


@pytest.fixture(scope="module")
def predictions():
    generator = np.random.default_rng(0)
    truth = generator.integers(0, len(CLASSES), NUM)

    def probabilities():
        drawn = generator.dirichlet(np.ones(len(CLASSES)), NUM)
        drawn[np.arange(NUM), truth] += generator.random(NUM) < 0.8
        return (drawn / drawn.sum(axis=1, keepdims=True)).astype(np.float32)

    return Predictions(
        split="test",
        classes=CLASSES,
        ids=tuple(f"coin-{n}.jpg" for n in range(NUM)),
        truth=truth,
        probabilities_NK=probabilities(),
        embeddings_ND=generator.random((NUM, 4), dtype=np.float32),
        view_probabilities={view: probabilities() for view in ("obverse", "reverse")},
        kind=OneClass(ordered=True),
    )


@pytest.fixture(scope="module")
def report(predictions, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "test"
    rows = [{"epoch": n, "train_loss": 1 / n, "val_loss": 1.2 / n} for n in range(1, 6)]
    facet = Facet("camera", ("old", "new"), np.arange(NUM) % 2)
    facts = {"data": "/data/someone/coins", "model": "vit, weights from /srv/weights/vit.safetensors"}
    extras = Extras(History(rows, 4), thumbnails, (facet,))
    write_evaluation(folder, replace(predictions), facts=facts, extras=extras)
    return folder / "report.html"


@pytest.fixture
def open_report(open_in_browser, report):
    """open_report(width, **context) -> the page at that width, when its script has run."""

    def open_(width=1200, **options):
        page = open_in_browser(report, width, **options)
        if options.get("java_script_enabled", True):
            page.wait_for_selector("html[data-ready]")
        return page

    return open_


def rows_of(page, title):
    """The cells of a section's table."""
    rows = page.locator(f"section#{title} table tbody tr").all()
    return [row.locator("th, td").all_inner_texts() for row in rows]


def test_nothing_is_asked_for_and_nothing_fails(open_report, report):
    page = open_report()
    page.get_by_label("true class", exact=True).select_option("2")
    own = report.as_uri()[:60]
    assert [text for text in page.messages if not text.startswith(("data:image/webp", own))] == []
    assert page.evaluate("[...document.images].filter(i => i.offsetParent).every(i => i.naturalWidth > 0)")


def test_it_names_no_folder_of_this_machine(report):
    text = report.read_text()
    assert "/data/someone" not in text
    assert "/srv" not in text
    assert "weights from vit.safetensors" in text


def test_a_click_on_a_header_sorts(open_report):
    page = open_report()
    button = page.locator("section#which-answers-to-accept")
    assert button.locator("button.sort").count() == 0  # a table of six rows needs none
    page.locator("section#run").scroll_into_view_if_needed()
    header = page.locator("section#result thead th").nth(1)
    before = [row[1] for row in rows_of(page, "result")]
    for order in ("ascending", "descending"):
        header.get_by_role("button").click()
        assert header.get_attribute("aria-sort") == order
        values = [float(row[1].split()[0]) for row in rows_of(page, "result")]
        assert values == sorted(values, reverse=order == "descending")
    assert sorted(before) == sorted(row[1] for row in rows_of(page, "result"))


def test_a_word_searches_a_long_table(open_report):
    page = open_report()
    page.get_by_label("Search").first.fill("kappa")
    visible = page.locator("section#result tbody tr:visible")
    assert visible.count() == 1
    assert "quadratic kappa" in visible.inner_text()


def test_every_panel_follows_the_filter(open_report, predictions):
    page = open_report()
    answers_N, truth_N = predictions.answers, predictions.truth
    before = rows_of(page, "classes")
    reliability = page.locator("svg[data-curve=reliability]").inner_html()
    page.get_by_label("true class", exact=True).select_option("3")
    page.get_by_label("camera", exact=True).select_option("1")
    chosen_N = (truth_N == 3) & (np.arange(NUM) % 2 == 1)
    output = page.locator("[data-panel=answers] output").inner_text()
    assert output.startswith(f"{chosen_N.sum()} of {NUM} answers match; ")
    assert f"{100 * (answers_N == 3)[chosen_N].mean():.1f} %" in output
    labels = {row[0]: row[1] for row in rows_of(page, "classes")}
    assert labels == {name: str(chosen_N.sum() if k == 3 else 0) for k, name in enumerate(CLASSES)}
    assert page.locator("svg[data-curve=reliability]").inner_html() != reliability
    wrong_N = chosen_N & (answers_N != 3)
    assert output.endswith(f" Below: the {wrong_N.sum()} wrong, the surest first.")
    figures = page.locator("[data-panel=answers] figure")
    assert figures.count() == page.locator("[data-panel=answers] figure.wrong").count() == min(12, wrong_N.sum())
    page.get_by_label("order of the answers").select_option("least sure first")
    assert figures.count() == min(12, chosen_N.sum())
    page.get_by_role("button", name="Show all").click()
    assert rows_of(page, "classes") == before
    assert page.locator("svg[data-curve=reliability]").inner_html() == reliability


def test_the_threshold_moves_share_and_error(open_report, predictions):
    page = open_report()
    slider = page.get_by_label("share of answers to accept, the surest first")
    slider.focus()
    slider.fill("700")
    confidence_N = predictions.probabilities_NK[np.arange(NUM), predictions.answers]
    accepted_N = np.argsort(-confidence_N, kind="stable")[: round(0.7 * NUM)]
    wrong = (predictions.answers != predictions.truth)[accepted_N].mean()
    output = page.locator("[data-panel=threshold] output")
    expected = (
        f"Probability at least {100 * confidence_N[accepted_N].min():.1f} %: 70.0 % of the answers are accepted, "
        f"of these {100 * wrong:.1f} %"
    )
    assert output.inner_text().startswith(expected)
    page.keyboard.press("End")
    assert ": 100.0 % of the answers are accepted" in output.inner_text()
    box = page.locator("svg[data-curve=risk]").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 40)
    page.mouse.up()
    assert not output.inner_text().startswith(expected)


def test_the_confusion_matrix_by_keyboard_and_by_click(open_report, predictions):
    page = open_report()
    canvas = page.locator("[data-panel=confusion] canvas")
    canvas.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "+", "+", "0"):
        page.keyboard.press(key)
    count = int(((predictions.truth == 2) & (predictions.answers == 1)).sum())
    output = page.locator("[data-panel=confusion] output")
    assert output.inner_text().startswith(f"true XF40, answer VF20: {count}")
    page.keyboard.press("Enter")
    assert page.get_by_label("true class", exact=True).input_value() == "2"
    assert page.get_by_label("answer", exact=True).input_value() == "1"
    page.get_by_role("button", name="Show all").click()
    page.get_by_role("button", name="zoom in").click()
    box = canvas.bounding_box()
    canvas.click(position={"x": 112 + 8, "y": 112 + 8})
    assert page.get_by_label("true class", exact=True).input_value() in "012"
    assert box["width"] > 200


def test_without_script_the_page_is_complete(open_report):
    page = open_report(java_script_enabled=False)
    assert page.locator(".panel:visible, .needs-script:visible").count() == 0
    assert page.locator("table:visible").count() == page.locator("table").count()
    assert page.locator("section#surest-mistakes figure:visible").count() > 3
    assert page.locator("section#confusion img").is_visible()


def test_on_paper_what_stands_for_a_panel_comes_back(open_report):
    page = open_report(color_scheme="dark")
    page.emulate_media(media="print")
    assert page.locator("section#surest-mistakes .static figure").first.is_visible()
    assert page.locator("section#confusion img").is_visible()
    assert page.locator("[data-panel=answers]:visible, nav:visible, [data-panel=confusion]:visible").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_control_has_a_name_and_enough_contrast(open_report, serious_findings, scheme):
    page = open_report(color_scheme=scheme)
    assert page.evaluate(NAMELESS) == []
    assert serious_findings(page) == []


@pytest.mark.parametrize("width", [320, 390, 768])
def test_the_page_never_scrolls_sideways(open_report, width):
    page = open_report(width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
