"""Predictions inside a page: exact arrays, and the limits of a page with 500 classes and 100,000 predictions."""

import base64
import gzip
import json
from dataclasses import replace

import numpy as np

from obverse.report import Facet, Gallery, Item, Linked, Page, Panel, Picture, Section, Table, to_html, to_markdown
from obverse.report.html import script

NUM, NUM_CLASSES, NUM_PICTURES = 100_000, 500, 600


def linked_of(num, num_classes):
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


def unpacked(linked):
    """Header, arrays and ids of the packed predictions."""
    whole = gzip.decompress(base64.b64decode(linked.packed))
    end = 4 + int.from_bytes(whole[:4], "little")
    header = json.loads(whole[4:end])
    arrays = {}
    for name in header["columns"]:
        arrays[name] = np.frombuffer(whole[end : end + 2 * header["num"]], "<u2")
        end += 2 * header["num"]
    return header, arrays, whole[end:].decode().split("\n")


def test_arrays_come_back():
    linked = linked_of(50, 3)
    linked = replace(linked, truth_N=np.where(np.arange(50) == 7, -1, linked.truth_N))
    header, arrays, ids = unpacked(linked)
    assert header["classes"] == list(linked.classes)
    assert header["facets"] == [{"name": "camera", "values": ["old", "new"]}]
    assert ids == list(linked.ids)
    assert arrays["truth"][7] == 65535
    known = np.arange(50) != 7
    assert (arrays["truth"][known] == linked.truth_N[known]).all()
    assert (arrays["answer"] == linked.answers_N).all()
    assert np.abs(arrays["confidence"] / 65535 - linked.confidence_N).max() <= 0.5 / 65535 + 1e-9
    assert np.abs(arrays["x"] / 65535 * 2 - 1 - linked.positions_N2[:, 0]).max() < 1e-4


def test_the_script_and_the_shell_are_small():
    assert len(script().encode()) <= 60_000
    shell = to_html(Page("Report", (), linked=linked_of(1, 1)))
    assert len(shell.encode()) <= 100_000


def test_a_page_of_many_classes_and_predictions_is_small():
    generator = np.random.default_rng(1)
    pictures = {n: (Picture(generator.bytes(2500)),) for n in range(NUM_PICTURES)}
    items = tuple(Item(f"{n}", pictures[n], row=n) for n in range(60))
    album = {row: pictures[row] for row in range(60, NUM_PICTURES)}
    linked = replace(linked_of(NUM, NUM_CLASSES), album=album)
    rows = tuple((f"class {k}", *(f"{k / 500:.3f}",) * 5) for k in range(NUM_CLASSES))
    table = Table(("class", "labels", "predicted", "precision", "recall", "F1"), rows, "classes")
    page = Page("Report", (Section("Mistakes", (Gallery(items),)), Section("Classes", (table,))), linked=linked)
    text = to_html(page)
    assert len(text.encode()) < 15e6
    assert text.count("class 499") == 1
    assert len(linked.album_lines.splitlines()) == NUM_PICTURES - 60


def test_a_panel_without_script_shows_what_stands_for_it(tmp_path):
    table = Table(("a",), (("b",),))
    section = Section("Part", (Panel("confusion", (table,)),))
    only = Section("Map", (Panel("map"),), needs_script=True)
    page = Page("T", (section, only))
    assert to_markdown(page, tmp_path) == "# T\n\n## Part\n\n| a |\n| --- |\n| b |\n"
    text = to_html(page)
    assert '<div class="panel" data-panel="confusion" hidden></div>\n<div class="static">' in text
    assert '<section id="map" class="needs-script">' in text
