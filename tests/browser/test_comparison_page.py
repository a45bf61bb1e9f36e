"""Pages of comparisons and of past runs in Chromium: nothing is fetched, nothing fails, nothing scrolls sideways."""

import io

import numpy as np
import pytest
from PIL import Image

from obverse.decisions import OneClass
from obverse.evaluation import Predictions, measure
from obverse.metrics import metric_of
from obverse.report import Picture, to_html
from obverse.studies.compare import Contender, compare
from obverse.studies.comparison import comparison_page
from obverse.studies.comparison.page import all_against
from obverse.studies.comparison.pictures import Source
from obverse.studies.leaderboard.board import Group, Leaderboard
from obverse.studies.leaderboard.entry import Entry
from obverse.studies.leaderboard.table import leaderboard_page

playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")

CLASSES = ("G04", "VF20", "<b>MS65")
NUM = 150
NAMES = ("first", "<script>alert(1)</script>" + "long" * 30)


def contender(name, seed):
    generator = np.random.default_rng(seed)
    truth_N = np.arange(NUM) % 3
    answers_N = np.where(generator.random(NUM) < 0.7, truth_N, (truth_N + 1) % 3)
    run = Predictions(
        split="test", classes=CLASSES, ids=tuple(f"{'x' * 40}/coin-{n}.jpg" for n in range(NUM)), truth=truth_N,
        probabilities_NK=np.eye(3, dtype=np.float32)[answers_N], kind=OneClass(ordered=True),
    )  # fmt: skip
    return Contender(name, (run,), (measure(run).as_json(),))


def views(sample):
    """Two views of a sample, without the second for some, and nothing for others."""
    number = int(sample.rpartition("-")[2].removesuffix(".jpg"))
    buffer = io.BytesIO()
    Image.new("RGB", (96, 80), (number, 90, 90)).save(buffer, "WEBP")
    return tuple(Picture(buffer.getvalue(), view) for view in ("obverse", "reverse")[: number % 3])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    pair = [contender(name, seed) for seed, name in enumerate(NAMES)]
    source = Source(pictures=views)
    comparison = compare(pair)
    compared = comparison_page(comparison, all_against(comparison, pair, source), source)
    entries = [
        Entry(name=f"runs/{NAMES[1]}-{n}", path=folder, kind="run", state="finished", data="coins", metric="accuracy",
              split="test", value=0.9 - n / 100, low=0.5, high=0.95, rank=n + 1, model="resnet18, pretrained",
              num_parameters=11_000_000, minutes=2.5, bundle_bytes=45_000_000, when=1_700_000_000.0)
        for n in range(12)
    ]  # fmt: skip
    broken = Entry(name="broken", path=folder, kind="run", state="damaged", reason="config.json cannot be read")
    board = Leaderboard(folder, (Group("coins", "ab" * 32, "test", metric_of("accuracy"), tuple(entries)),), (broken,))
    pages = {"comparison": compared, "runs": leaderboard_page(board)}
    for name, page in pages.items():
        (folder / f"{name}.html").write_text(to_html(page), encoding="utf-8")
    return folder


@pytest.fixture
def open_file(open_in_browser, files):
    """open_file(name, width, **context) -> the page of that name."""
    return lambda name, width=1200, **options: open_in_browser(files / f"{name}.html", width, **options)


@pytest.mark.parametrize("name", ["comparison", "runs"])
def test_nothing_is_asked_for_and_nothing_fails(open_file, files, name):
    page = open_file(name)
    own = (files / f"{name}.html").as_uri()[:40]
    assert [text for text in page.messages if not text.startswith(("data:image/webp", own))] == []
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1440, "light")])
@pytest.mark.parametrize("name", ["comparison", "runs"])
def test_the_page_never_scrolls_sideways_and_can_be_used_by_all(open_file, serious_findings, name, width, scheme):
    page = open_file(name, width, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert serious_findings(page) == []


def test_metrics_have_their_titles_and_notes_are_sentences(open_file):
    page = open_file("comparison")
    text = page.locator("section#all-metrics").inner_text()
    assert "mean absolute error" in text
    assert "mean_absolute_error" not in text
    notes = page.locator("section#all-metrics p").all_inner_texts()
    assert notes
    assert not any(note[0].islower() or not note.endswith(".") for note in notes)


def test_changed_samples_stand_with_both_views_and_both_answers(open_file):
    page = open_file("comparison")
    figures = page.locator("figure").all()
    assert len(figures) == 48
    texts = [figure.inner_text() for figure in figures]
    assert all("label " in text and "first: " in text for text in texts)
    assert {figure.locator("img").count() for figure in figures} == {0, 1, 2}
    assert any("picture missing" in text for text in texts)


def test_the_table_of_runs_can_be_sorted_and_reads_in_rank(open_file):
    page = open_file("runs")
    rows = page.get_by_role("table").first.get_by_role("rowheader").all_inner_texts()
    assert [row.partition(".")[0] for row in rows] == [str(n) for n in range(1, 13)]
    playwright.expect(page.get_by_role("rowheader", name="broken")).to_be_visible()


def test_numbers_and_dates_of_runs_stand_in_one_line(open_file):
    page = open_file("runs", 1440)
    lines = page.evaluate("""[...document.querySelector('table').tBodies[0].rows[0].querySelectorAll('td')]
        .filter(cell => /^\\d/.test(cell.textContent)).map(cell => {
          const range = document.createRange(); range.selectNodeContents(cell);
          return new Set([...range.getClientRects()].map(box => box.top)).size; })""")
    assert len(lines) >= 5
    assert set(lines) == {1}
