"""Size of the page of an evaluation with many classes and predictions, and the time until Chromium has opened it.

The predictions are drawn at random; the page is that of every report, with 600 thumbnails of noise.
    python benchmarks/report_page.py [CLASSES SAMPLES]
Time is from the request until every panel is drawn, the median of five; `filter` is one change of the filter.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from common import save
from playwright.sync_api import Browser, sync_playwright

from obverse.report import Curve, Facet, Gallery, Item, Line, Linked, Page, Panel, Picture, Section, Table, to_html

NUM_PICTURES, PICTURE_BYTES, NUM_TIMES = 600, 2500, 5


def linked_of(num_classes: int, num: int) -> Linked:
    """Predictions of which 80 % are right."""
    generator = np.random.default_rng(0)
    truth_N = generator.integers(0, num_classes, num)
    return Linked(
        classes=tuple(f"class {k}" for k in range(num_classes)),
        ids=tuple(f"pictures/{n // 1000:03}/picture-{n:06}.jpg" for n in range(num)),
        truth_N=truth_N,
        answers_N=np.where(generator.random(num) < 0.8, truth_N, generator.integers(0, num_classes, num)),
        confidence_N=generator.random(num).astype(np.float32),
        facets=(Facet("camera", ("old", "new"), generator.integers(0, 2, num)),),
        positions_N2=generator.uniform(-1, 1, (num, 2)).astype(np.float32),
    )


def page_of(num_classes: int, num: int) -> str:
    """The page, with every panel."""
    generator = np.random.default_rng(1)
    pictures = {row: (Picture(generator.bytes(PICTURE_BYTES)),) for row in range(NUM_PICTURES)}
    items = tuple(Item(f"{row}", pictures[row], row=row) for row in range(60))
    album = {row: pictures[row] for row in range(60, NUM_PICTURES)}
    rows = tuple((f"class {k}", *(f"{k / num_classes:.3f}",) * 5) for k in range(num_classes))
    classes = Table(("class", "labels", "predicted", "precision", "recall", "F1"), rows, "classes")
    line = Line("wrong answers", (0.0, 1.0), (0.0, 0.2))
    curves = [Curve(name, name, "x", "y", (line,), (0.0, 1.0), (0.0, 1.0)) for name in ("reliability", "risk")]
    sections = (
        Section("Mistakes", (Panel("answers", (Gallery(items),)),)),
        Section("Accepted", (*curves, Panel("threshold"))),
        Section("Classes", (classes,)),
        Section("Confusion", (Panel("confusion"),)),
        Section("Map", (Panel("map"),), needs_script=True),
    )
    return to_html(Page("Report", sections, linked=replace(linked_of(num_classes, num), album=album)))


def seconds_to_open(browser: Browser, file: Path) -> tuple[float, float]:
    """Seconds until the page is ready, and those of one change of the filter."""
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    start = time.perf_counter()
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-ready]")
    opened = time.perf_counter()
    page.get_by_label("true class", exact=True).select_option("1")
    filtered = time.perf_counter()
    page.close()
    return opened - start, filtered - opened


def main() -> None:
    """Write the page, open it, and save the row."""
    num_classes, num = map(int, sys.argv[1:3] or (500, 100_000))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        file = Path(folder) / "report.html"
        file.write_text(page_of(num_classes, num), encoding="utf-8")
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        times = [seconds_to_open(browser, file) for _ in range(NUM_TIMES)]
        row = {
            "classes": num_classes,
            "samples": num,
            "megabytes": round(file.stat().st_size / 1e6, 2),
            "seconds to open": round(statistics.median(opened for opened, _ in times), 2),
            "seconds to filter": round(statistics.median(filtered for _, filtered in times), 2),
        }
        browser.close()
    print(row)
    save("report_page", [row], command="python benchmarks/report_page.py CLASSES SAMPLES")


if __name__ == "__main__":
    main()
