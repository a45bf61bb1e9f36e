"""The report: complete, honest about small sets, and safe with any name."""

import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from obverse.errors import DataError
from obverse.evaluation import Extras, History
from obverse.evaluation.one_class.measure import measure
from obverse.evaluation.plots import plot_history
from obverse.evaluation.predictions import Predictions
from obverse.evaluation.report import Topic, write_evaluation
from obverse.evaluation.seen import Seen
from obverse.report import Section, Text
from obverse.report.escaping import markdown_text

FACTS = {"model": "vit <small>", "best epoch": "3", "pictures per second": "120 | cpu"}


class Page(HTMLParser):
    """Collects tags, cells and image addresses of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.cells, self.images, self.inside = [], [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.images += [dict(attrs)["src"]] if tag == "img" else []
        self.inside = tag in ("td", "th")
        self.cells += [""] if self.inside else []

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.cells[-1] += data


def tables(summary):
    """The cells of every table line of a Markdown text, split at bars that are not escaped."""
    return [re.split(r"(?<!\\)\|", line)[1:-1] for line in summary.splitlines() if line.startswith("|")]


def test_calibration_is_praised_only_where_it_lowers_the_error(make, tmp_path):
    good = make(num_samples=400)
    answers_N = np.where(np.arange(400) % 5 == 0, (good.truth + 1) % 3, good.truth)
    true_NK, sure_NK = ((np.eye(3)[answers_N] * (1 - 3 * rest) + rest).astype(np.float32) for rest in (0.1, 0.005))
    good = replace(good, probabilities_NK=true_NK)
    helped = replace(good, uncalibrated_NK=sure_NK)
    harmed = replace(good, probabilities_NK=sure_NK, uncalibrated_NK=true_NK)
    pooled = replace(harmed, split="out-of-fold")
    firsts = (
        "calibrated on val: of answers given with 80 %, about four in five should be right.",
        "calibrated on val; on these samples the calibration error is not lower than without.",
        "calibrated in each fold on its own val; on these samples the calibration error is not lower than without.",
    )
    for number, (predictions, first) in enumerate(zip((helped, harmed, pooled), firsts, strict=True)):
        write_evaluation(tmp_path / str(number), predictions, facts=FACTS)
        summary = (tmp_path / str(number) / "summary.md").read_text()
        assert f"Probabilities are {first}" in summary
        assert ("four in five" in summary) == (predictions is helped)


def test_every_file_and_number(make, tmp_path):
    predictions = make(views=("obverse", "reverse"), ordered=True)
    measured = write_evaluation(tmp_path / "test", predictions, facts=FACTS)
    assert measured == measure(predictions)
    assert json.loads((tmp_path / "test/metrics.json").read_text()) == measured.as_json()
    assert {path.name for path in (tmp_path / "test").iterdir()} == {
        *("predictions.npy", "true_labels.npy", "probabilities.npy", "ids.json", "names.json", "embeddings.npy"),
        *("view_probabilities.npz", "results.csv", "views.csv", "metrics.json", "confusion_matrix.png"),
        *("summary.md", "report.html", "reliability.png"),
    }
    assert Predictions.read(tmp_path / "test").ids == predictions.ids
    summary, page = ((tmp_path / "test" / name).read_text() for name in ("summary.md", "report.html"))
    for shown in (summary, page):
        assert f"{100 * measured.accuracy.value:.1f} %" in shown
        assert "{0.low:.3f} to {0.high:.3f}".format(measured["macro_f1"]) in shown
        assert f"Prediction CV {measured.prediction_cv:.2f}, label CV {measured.label_cv:.2f}" in shown
        assert "Probabilities are not calibrated" in shown
        assert measured.as_json()["uncalibrated"] is None
        assert "obverse alone" in shown
        assert "quadratic kappa" in shown


def test_results_csv_has_one_row_per_class(make, tmp_path):
    predictions = make("ab", num_samples=9)
    write_evaluation(tmp_path, predictions, facts={})
    with (tmp_path / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    counted = ["support", "predicted", "auroc", "average_precision"]
    assert list(rows[0]) == ["class", "precision", "recall", "f1", *counted]
    assert [int(row["support"]) for row in rows] == np.bincount(predictions.truth, minlength=2).tolist()
    assert [int(row["predicted"]) for row in rows] == np.bincount(predictions.answers, minlength=2).tolist()


def test_views_csv_names_each_view_and_the_disagreement(make, tmp_path):
    predictions = make(views=("obverse", "reverse"))
    predictions.view_probabilities["reverse"][0] = np.nan
    write_evaluation(tmp_path, predictions, facts={})
    with (tmp_path / "views.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert (rows[0]["reverse alone"], rows[0]["disagree"]) == ("", "no")
    for row in rows[1:]:
        assert (row["disagree"] == "yes") == (row["obverse alone"] != row["reverse alone"])
    write_evaluation(tmp_path, make(), facts={})
    assert not (tmp_path / "views.csv").exists()


def test_hostile_names_stay_text(make, hostile_names, tmp_path):
    views = ("<b>front</b>", "back|side")
    predictions = make(hostile_names, num_samples=200, views=views)
    predictions = replace(predictions, ids=tuple(f"{number} | <em>\n{{{{ 7 * 7 }}}}" for number in range(200)))
    write_evaluation(tmp_path, predictions, facts=FACTS)
    with (tmp_path / "results.csv").open(newline="", encoding="utf-8") as file:
        names = [row[0] for row in csv.reader(file)][1:]
    assert names == [name.replace("\udcff", "\\udcff") for name in hostile_names]
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert not {"em", "small"} & set(page.tags)
    assert page.tags.count("script") == 3  # the predictions, the album and the page's own
    assert {"<script>alert(1)</script>", "a|b", "line break", "vit <small>"} <= set(page.cells)
    words = [cell for cell in page.cells if not re.fullmatch(r"[\d. %to]+", cell)]
    assert not any("49" in cell and "7" not in cell for cell in words)
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "<" not in summary
    lines = tables(summary)
    widths = [len(line) for line in lines]
    starts = [index - 1 for index, line in enumerate(lines) if set("".join(line)) == set(" -")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        assert len(set(widths[start:end])) == 1


def test_the_page_is_self_contained(make, tmp_path):
    plot_history([{"epoch": 1, "train_loss": 2.0}], tmp_path / "training history.png")
    folder = tmp_path / "evaluation" / "test"
    history = History([{"epoch": 1, "train_loss": 2.0}], 1, tmp_path / "training history.png")
    write_evaluation(folder, make(), facts=FACTS, extras=Extras(history))
    text = (folder / "report.html").read_text()
    page = Page(text)
    assert [address[:22] for address in page.images] == ["data:image/png;base64,"]  # the confusion matrix
    assert not re.search(r"https?://(?!www.w3.org/2000/svg)|<link|<script src", text)
    assert "epoch 1 was taken" in text
    assert "../../training%20history.png" in (folder / "summary.md").read_text()


def test_without_history_there_is_no_training_section(make, tmp_path):
    write_evaluation(tmp_path, make(), facts={})
    assert "Training" not in (tmp_path / "summary.md").read_text()
    with pytest.raises(DataError, match="do not exist"):
        write_evaluation(tmp_path, make(), facts={}, extras=Extras(History(png=tmp_path / "nowhere.png")))


@pytest.mark.parametrize(("num_samples", "is_small"), [(30, True), (3000, False)])
def test_a_small_set_is_called_small(make, tmp_path, num_samples, is_small):
    write_evaluation(tmp_path, make(num_samples=num_samples), facts={})
    assert ("This is a small set" in (tmp_path / "summary.md").read_text()) == is_small


def test_top_and_bottom_classes(make, tmp_path):
    write_evaluation(tmp_path, make("abcdefghijkl", num_samples=500), facts={})
    summary = (tmp_path / "summary.md").read_text()
    with (tmp_path / "results.csv").open(newline="") as file:
        ranked = sorted(csv.DictReader(file), key=lambda row: -float(row["f1"]))
    for title, expected in (("Top 5", ranked[:5]), ("Bottom 5", ranked[:-6:-1])):
        section = summary.split(f"## {title} classes by F1")[1].split("##")[0]
        assert [line[0].strip() for line in tables(section)[2:]] == [row["class"] for row in expected]


def test_long_class_lists_start_folded(make, tmp_path):
    names = [f"class {index}" for index in range(60)]
    write_evaluation(tmp_path, make(names, num_samples=300), facts={})
    assert "<details>" in (tmp_path / "report.html").read_text()
    assert "class 59" in (tmp_path / "summary.md").read_text()


@pytest.mark.parametrize("num_samples", [1, 2])
def test_the_smallest_sets(make, tmp_path, num_samples):
    write_evaluation(tmp_path, make("ab", num_samples=num_samples, views=("x", "y"), ordered=True), facts={})
    assert "small set" in (tmp_path / "summary.md").read_text()


def test_nothing_to_measure_writes_nothing(make, tmp_path):
    with pytest.raises(DataError, match="no labelled samples"):
        write_evaluation(tmp_path / "new", make().take(np.arange(0)), facts={})
    assert not (tmp_path / "new").exists()


def test_what_the_model_has_seen_and_what_belongs_together_is_said(make, tmp_path):
    predictions = replace(make(), groups=tuple(f"coin {n // 4}" for n in range(60)))
    seen = Seen(chosen=("the best epoch", "the prior"), num_trained=12, num_chosen=3, is_unknown=True,
                findings=("the same picture is in train and test",))  # fmt: skip
    measured = write_evaluation(tmp_path, predictions, facts={}, seen=seen)
    assert json.loads((tmp_path / "metrics.json").read_text())["seen"] == {
        "chosen": ["the best epoch", "the prior"],
        "num_trained": 12,
        "num_chosen": 3,
        "is_unknown": True,
        "findings": ["the same picture is in train and test"],
    }
    summary = (tmp_path / "summary.md").read_text()
    for sentence in seen.sentences(measured.num_samples):
        assert markdown_text(sentence) in summary
    assert "12 of 60 were trained on" in summary
    assert summary.count("Found in the data: the same picture is in train and test.") == 2, "with the trust and result"
    assert "The 60 samples lie in 15 groups" in summary
    write_evaluation(tmp_path, make(), facts={})
    assert "Intervals treat samples as independent" in (tmp_path / "summary.md").read_text()
    one = replace(make(), groups=("all",) * 60)
    write_evaluation(tmp_path, one, facts={})
    assert "accuracy has no interval: one independent sample" in (tmp_path / "summary.md").read_text()


def test_a_topic_of_another_room_has_its_section_and_its_key(make, tmp_path):
    topic = Topic(Section("Slices", (Text("none is worse"),)), "slices", {"num_examined": 3})
    measured = write_evaluation(tmp_path, make(), facts={}, more=[topic, Section("Maps", (Text("two maps"),))])
    assert measured.as_json()["slices"] == {"num_examined": 3}
    assert json.loads((tmp_path / "metrics.json").read_text()) == measured.as_json()
    summary = (tmp_path / "summary.md").read_text()
    assert summary.index("## Classes") < summary.index("## Slices") < summary.index("## Maps")
