"""The style of all pages, as Chromium lays it out: wide, narrow, dark, on paper, by keyboard, with any name."""

import io

import pytest
from PIL import Image

from obverse.report import Figure, Gallery, Item, Page, Picture, Section, Table, Text, to_html

playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")

NAMES = ("<script>alert(1)</script>", "W" * 300, "long " * 60, "عملة قديمة", "\u202etxet", "", "金貨\x1b[31m")
CONTRAST = """
() => {
  const light = text => {
    const [r, g, b] = text.match(/[\\d.]+/g).map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  const ratio = ink => (Math.max(ink, paper) + .05) / (Math.min(ink, paper) + .05);
  const texts = [...document.querySelectorAll('h1, h2, h2 span, p, th, td, figcaption, summary, li')];
  return Math.min(...texts.map(element => ratio(light(getComputedStyle(element).color))));
}
"""  # noqa: E501


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    """A page of every kind of block, with a table of 500 rows and with hostile names."""
    folder = tmp_path_factory.mktemp("page")
    Image.new("RGB", (1400, 500), "gray").save(folder / "plot.png")
    thumbnail = io.BytesIO()
    Image.new("RGB", (96, 80), "gray").save(thumbnail, "JPEG")
    long = Table(("class", "labels", "F1"), tuple((f"class {n}", str(n), f"{n / 500:.3f}") for n in range(500)))
    names = Table(("class", *NAMES[:3]), tuple((name, "0.500", name, "–") for name in NAMES))
    sections = (
        Section("Result", (Text("Words. " * 40), Text("Aside.", is_quiet=True), names)),
        Section("Training", (Figure(folder / "plot.png", "plot", "Loss over epochs."),)),
        *(Section(NAMES[n], (Text(NAMES[n]),), severity) for n, severity in enumerate(("error", "warning", "note"))),
        Section("Copies", (Gallery(tuple(Item(name, (Picture(thumbnail.getvalue()),)) for name in NAMES * 3)),)),
        Section("Broken", (Gallery(tuple(map(Item, NAMES))),)),
        Section("Classes", (long,)),
    )
    path = folder / "report.html"
    path.write_text(to_html(Page(f"Evaluation of {NAMES[0]}", sections)), encoding="utf-8")
    return path


@pytest.fixture
def open_page(open_in_browser, page_file):
    """open_page(width, **context) -> the page at that width."""
    return lambda width=1200, path=page_file, **options: open_in_browser(path, width, 800, **options)


def test_nothing_is_fetched_and_no_script_runs(open_page, page_file):
    dialogs = []
    page = open_page()
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    page.reload()
    others = [text for text in page.messages if not text.startswith(("data:image/", page_file.as_uri()[:60]))]
    assert (others, dialogs) == ([], [])
    assert page.evaluate("document.images.length > 20 && [...document.images].every(image => image.naturalWidth > 0)")


@pytest.mark.parametrize("width", [320, 390, 1200])
def test_the_page_never_scrolls_sideways(open_page, width):
    page = open_page(width)
    page.locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    boxes = page.evaluate("[...document.querySelectorAll('figure')].map(f => f.getBoundingClientRect().right)")
    assert max(boxes) <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(open_page, scheme):
    page = open_page(color_scheme=scheme)
    is_dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert is_dark == (scheme == "dark")
    assert page.evaluate(CONTRAST) >= 4.5  # WCAG 2.2, success criterion 1.4.3, level AA


def test_the_header_of_a_long_table_stays_and_the_keyboard_reaches_its_rows(open_page):
    page = open_page()
    assert not page.locator(".long").is_visible()
    page.locator("summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    playwright.expect(page.get_by_role("searchbox", name="Search 500 rows")).to_be_focused()
    page.keyboard.press("Tab")
    box = page.get_by_role("group", name="Classes")
    playwright.expect(box).to_be_focused()
    page.keyboard.press("End")
    playwright.expect(box.get_by_role("rowheader", name="class 499")).to_be_in_viewport()
    header, frame = box.get_by_role("columnheader", name="labels").bounding_box(), box.bounding_box()
    assert abs(header["y"] - frame["y"]) <= 2


def test_on_paper_everything_is_there_in_dark_ink(open_page):
    page = open_page(color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator(".long tbody tr").last.bounding_box()["height"] > 10
    assert not page.locator("summary").is_visible()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(28, 39, 51)"


def test_a_gallery_wraps(open_page):
    tops = "[...document.querySelectorAll('figure')].map(figure => figure.getBoundingClientRect().top)"
    wide, narrow = (len(set(open_page(width).evaluate(tops))) for width in (1200, 390))
    assert 1 < wide < narrow < len(NAMES) * 3


def test_a_screen_reader_finds_headings_tables_and_pictures(open_page):
    page = open_page()
    assert page.get_by_role("heading", level=1).count() == 1
    titles = page.get_by_role("heading", level=2).all_inner_texts()
    assert titles[0] == "Result"
    assert titles[2] == "error <script>alert(1)</script>"
    table = page.get_by_role("table").first
    assert table.get_by_role("columnheader").count() == 4
    assert table.get_by_role("rowheader").count() == len(NAMES)
    assert page.get_by_role("img", name="Loss over epochs.").count() == 1
    assert page.get_by_role("figure", name=NAMES[0]).count() == 3
