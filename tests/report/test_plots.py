"""Headline figures, richer galleries and plots, as Markdown and as HTML."""

import math
import xml.etree.ElementTree as ElementTree

import pytest

from obverse.report import Card, Cards, Curve, Gallery, Item, Line, Page, Picture, Section, to_html, to_markdown
from obverse.report.blocks import MOST_ITEMS
from obverse.report.svg import curve_svg, ticks

WEBP = b"RIFF\0\0\0\0WEBPVP8 "


def page_of(*blocks):
    return Page("Title", (Section("Part", blocks),))


def markdown_of(*blocks, folder):
    return to_markdown(page_of(*blocks), folder).removeprefix("# Title\n\n## Part\n\n")


def shapes(curve, tag):
    """The attributes of the plot's elements of one kind."""
    return [element.attrib for element in ElementTree.fromstring(curve_svg(curve)).iter(tag)]


def curve_of(*lines, **options):
    return Curve("risk", "Risk by share.", "share", "risk", lines, **options)


def test_cards(tmp_path):
    block = Cards((Card("exact grade", "72 %", "64 to 79 %", "Of 100 coins about 72."), Card("coins", "54")))
    assert markdown_of(block, folder=tmp_path) == (
        "- **exact grade 72 %** (64 to 79 %): Of 100 coins about 72.\n- **coins 54**\n"
    )
    page = to_html(page_of(block))
    assert page.count('class="card"') == 2
    assert page.count('class="interval"') == 1


def test_an_item_has_its_views_its_label_and_its_answer(tmp_path):
    pictures = (Picture(WEBP, "obverse"), Picture(WEBP, "reverse"))
    item = Item("7", pictures, label="XF40", answer="AU50", confidence=0.956, tags=("review",))
    line = markdown_of(Gallery((item,)), folder=tmp_path)
    assert line == "- 7; label XF40; answer AU50 at 95.6 %; review\n"
    page = to_html(page_of(Gallery((item,))))
    assert page.count("data:image/webp;base64,UklG") == 2
    assert 'alt="reverse"' in page
    assert '<figure class="wrong" style="--n: 2">' in page
    assert "data-row=" not in page
    assert "<b>AU50</b> 95.6 %" in page
    assert not Item("7", label="XF40", answer="XF40").is_wrong


def test_a_gallery_shows_a_limited_number(tmp_path):
    gallery = Gallery(tuple(Item(f"item {n}") for n in range(MOST_ITEMS + 5)))
    assert markdown_of(gallery, folder=tmp_path).endswith(f"- item {MOST_ITEMS - 1}\n- and 5 more\n")
    page = to_html(page_of(gallery))
    assert (page.count("<li>"), "and 5 more" in page) == (MOST_ITEMS, True)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (1, 10, [2, 4, 6, 8, 10]),
        (-3, 3, [-2, 0, 2]),
        (0, 7e-5, [0, 2e-5, 4e-5, 6e-5]),
    ],
)
def test_ticks_are_round(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


def test_a_gap_a_step_and_a_band():
    line = Line("val", (1, 2, 3), (0.5, math.nan, 0.7), (0.4, math.nan, 0.6), (0.6, math.nan, 0.8))
    curve = curve_of(line, Line("steps", (1, 2), (0.1, 0.2), style="step"))
    paths = [shape["d"] for shape in shapes(curve, "{http://www.w3.org/2000/svg}path") or shapes(curve, "path")]
    assert sum(path.count("M") == 2 and "L" not in path for path in paths) == 1
    assert any("H" in path and path.index("H") < path.index("V") for path in paths if path.startswith("M68.0"))
    assert len(shapes(curve, "polygon")) == 2


def test_points_have_bars_and_counts_inside_the_frame():
    points = Line("bins", (0.2, 0.9), (0.3, 1.0), (0.1, 0.8), (0.5, 1.2), "points", ("13", "14"))
    curve = curve_of(points, x_range=(0, 1), y_range=(0, 1), x_share=True, marks=((0.5, "chosen"),))
    assert len(shapes(curve, "circle")) == 2
    text = curve_svg(curve)
    assert all(part in text for part in (">13<", ">14<", ">chosen<", ">20 %<"))
    assert "V10.0" in text  # the bar that would leave the frame ends at its top


@pytest.mark.parametrize("values", [(), (math.nan,), (3.0,), (0.0, 0.0)])
def test_a_plot_of_almost_nothing_has_finite_places(values):
    text = curve_svg(curve_of(Line("x", tuple(range(len(values))), values)))
    assert "nan" not in text
    assert ElementTree.fromstring(text).tag == "svg"


def test_a_plot_in_markdown_is_a_link_or_a_short_table(tmp_path):
    line = Line("val", tuple(range(100)), tuple(n / 100 for n in range(100)))
    guide = Line("perfect", (0, 1), (0, 1), style="guide")
    rows = markdown_of(curve_of(line, guide, y_share=True), folder=tmp_path).splitlines()
    assert rows[0] == "| share | series | risk |"
    assert (len(rows), rows[-1]) == (10, "| 99 | val | 99.0 % |")
    linked = curve_of(line, path=tmp_path / "risk.png")
    assert markdown_of(linked, folder=tmp_path) == "![risk](risk.png)\n"


def test_a_legend_names_the_series_and_a_name_stays_text():
    hostile = '<script>"&'
    page = to_html(page_of(curve_of(Line(hostile, (0, 1), (0, 1)), Line("b", (0, 1), (1, 0)))))
    assert "<script" not in page
    assert '<span class="c1"><i></i>b</span>' in page
