"""Each kind of block, as Markdown and as HTML."""

import re
from html.parser import HTMLParser

import pytest

from obverse.report import (
    Figure,
    Gallery,
    Item,
    Page,
    Picture,
    Section,
    Table,
    Text,
    to_html,
    to_html_fragment,
    to_markdown,
)
from obverse.report.html import LONGEST_OPEN_TABLE

HOSTILE = "<script>alert(1)</script> & \"quoted\" 'single' {{ 7 * 7 }} | \x1b[31m\n\u202etxet"
PLAIN = "<script>alert(1)</script> & \"quoted\" 'single' {{ 7 * 7 }} | �[31m �txet"
PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"


class Elements(HTMLParser):
    """Every element of a page, as (tag, attributes, text up to the next tag)."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append([tag, dict(attributes), ""])

    def handle_data(self, data):
        if self.found:
            self.found[-1][2] += data

    def of(self, *tags):
        return [(attributes, text.strip()) for tag, attributes, text in self.found if tag in tags]

    def texts(self, *tags):
        return [text for _, text in self.of(*tags)]


def page_of(*blocks):
    return Page("Title", (Section("Part", blocks),))


def html_of(*blocks):
    return Elements(to_html(page_of(*blocks)))


def markdown_of(*blocks, folder):
    """What stands below the section's heading."""
    return to_markdown(page_of(*blocks), folder).removeprefix("# Title\n\n## Part\n\n")


def test_text(tmp_path):
    blocks = Text("One."), Text("Two.", is_quiet=True)
    assert markdown_of(*blocks, folder=tmp_path) == "One.\n\nTwo.\n"
    assert html_of(*blocks).of("p") == [({}, "One."), ({"class": "quiet"}, "Two.")]


def test_table(tmp_path):
    table = Table(("class", "F1", "note"), (("a|b", "0.500", "–"), ("c", "not defined", "few")))
    assert markdown_of(table, folder=tmp_path) == (
        "| class | F1 | note |\n| --- | --- | --- |\n| a\\|b | 0.500 | – |\n| c | not defined | few |\n"
    )
    page = html_of(table)
    right, number = {"class": "right"}, {"class": "number right"}
    assert page.of("th") == [
        ({"scope": "col"}, "class"),
        ({"scope": "col"} | right, "F1"),
        ({"scope": "col"}, "note"),
        ({"scope": "row"}, "a|b"),
        ({"scope": "row"}, "c"),
    ]
    assert page.of("td") == [(number, "0.500"), ({"class": "number"}, "–"), (number, "not defined"), ({}, "few")]


@pytest.mark.parametrize(
    ("cell", "is_number"),
    [
        *(("12", True), ("1,200", True), ("-0.3", True), ("+1.5 %", True), ("–", True), ("79.0 to 90.6 %", True)),
        *(("12 of 30", False), ("MS63", False), ("", False), ("– (one sample)", False)),
    ],
)
def test_a_number_stays_on_one_line_and_a_column_of_numbers_is_aligned(cell, is_number):
    # An interval may break on a narrow screen, though not before its unit.
    ends, text = (" ends", cell.replace(" %", "\N{NO-BREAK SPACE}%")) if " to " in cell else ("", cell)
    alone = html_of(Table(("name", "value"), (("1", cell),)))
    assert alone.of("td") == [({"class": f"number right{ends}"} if is_number else {}, text)]
    mixed = html_of(Table(("name", "value"), (("1", cell), ("2", "words"))))
    assert mixed.of("td")[0] == ({"class": f"number{ends}"} if is_number else {}, text)


@pytest.mark.parametrize("num_rows", [LONGEST_OPEN_TABLE, LONGEST_OPEN_TABLE + 1])
def test_a_long_table_starts_folded_and_is_reached_by_keyboard(num_rows):
    page = html_of(Table(("name",), tuple((str(row),) for row in range(num_rows))))
    assert page.texts("th") == ["name", *map(str, range(num_rows))]
    regions = [attributes for attributes, _ in page.of("div")]
    group = {"role": "group", "aria-label": "Part", "tabindex": "0"}
    if num_rows > LONGEST_OPEN_TABLE:
        assert page.texts("summary") == [f"Show {num_rows} rows"]
        assert regions == [{"class": "table long"} | group]
    else:
        assert (page.texts("details"), regions) == ([], [{"class": "table"} | group])


def test_a_table_without_rows_is_left_out(tmp_path):
    blocks = Text("Nothing."), Table(("name",), ())
    assert markdown_of(*blocks, folder=tmp_path) == "Nothing.\n"
    assert html_of(*blocks).texts("table") == []


def test_figure(tmp_path):
    path = tmp_path / "a plot.png"
    path.write_bytes(PNG)
    figure = Figure(path, "curves", "Curves <over> epochs.")
    assert markdown_of(figure, folder=tmp_path / "evaluation") == "![curves](../a%20plot.png)\n"
    assert html_of(figure).of("img") == [
        ({"src": "data:image/png;base64,iVBORw0KGgo=", "alt": "Curves <over> epochs."}, "")
    ]


def test_links_start_where_a_folder_is_put_once_it_is_whole(tmp_path):
    stage = tmp_path / "test" / ".new.1.tmp"
    stage.mkdir(parents=True)
    inside, outside = Figure(stage / "in.png", "in", ""), Figure(tmp_path / "out.png", "out", "")
    assert markdown_of(inside, outside, folder=stage) == "![in](in.png)\n\n![out](../out.png)\n"


def test_gallery(tmp_path):
    gallery = Gallery((Item("a/1.jpg", (Picture(JPEG),)), Item("a/2.jpg")))
    assert markdown_of(gallery, folder=tmp_path) == "- a/1.jpg\n- a/2.jpg\n"
    page = html_of(gallery)
    assert page.texts("span") == ["a/1.jpg", "a/2.jpg"]
    assert page.of("img") == [({"src": "data:image/jpeg;base64,/9j/", "alt": ""}, "")]


def test_a_gallery_without_pictures_is_a_list():
    page = html_of(Gallery((Item("a"), Item("b"))))
    assert (page.texts("li"), page.texts("figure")) == (["a", "b"], [])


def test_page(tmp_path):
    page = Page("Check", (Section("copies (2)", (Text("Two."),), "warning"),), (Text("Before."),), "obverse check")
    assert to_markdown(page, tmp_path) == "# Check\n\nBefore.\n\n## warning: copies (2)\n\nTwo.\n"
    text = to_html(page)
    assert text.startswith("<!doctype html>\n")
    assert '<meta name="generator" content="obverse check">' in text[:200]
    elements = Elements(text)
    assert elements.texts("title", "h1") == ["Check", "Check"]
    assert re.search(r'<h2><span class="warning">warning</span> copies \(2\)</h2>', text)
    assert elements.texts("p") == ["Before.", "Two."]


def test_whatever_a_name_holds_stays_text(tmp_path):
    png = tmp_path / "plot.png"
    png.write_bytes(PNG)
    blocks = (
        Text(HOSTILE),
        Table((HOSTILE, "b"), ((HOSTILE, HOSTILE),)),
        Gallery((Item(HOSTILE, (Picture(JPEG),)),)),
        Gallery((Item(HOSTILE),)),
        Figure(png, "plot", HOSTILE),
    )
    page = Page(HOSTILE, (Section(HOSTILE, blocks),))
    elements = Elements(to_html(page))
    assert {tag for tag, _, _ in elements.found} & {"script", "b", "i"} == set()
    for tag in ("title", "h1", "h2", "p", "td", "span", "li"):
        assert elements.texts(tag) == [PLAIN]
    assert elements.texts("th") == [PLAIN, "b", PLAIN]
    assert elements.of("img")[-1][0]["alt"] == PLAIN
    markdown = to_markdown(page, tmp_path)
    assert "<" not in markdown
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in markdown.splitlines() if line.startswith("|")] == [3] * 3


def test_a_fragment_has_the_blocks_and_no_page():
    text = to_html_fragment([Text("One."), Table(("a",), (("<b>",),))], label="Table")
    assert Elements(text).texts("p", "th") == ["One.", "a", "<b>"]
    assert not re.search("<html|<style|<h1", text)


@pytest.mark.parametrize(
    ("blocks", "is_empty"),
    [
        ((), True),
        ((Text("Words."), Table(("a",), ())), True),
        ((Table(("a",), (("b",),)),), False),
        ((Gallery((Item("a"),)),), False),
    ],
)
def test_an_empty_section_has_words_only(blocks, is_empty):
    assert Section("Part", blocks).is_empty == is_empty
