"""The page of a comparison: one verdict, the samples that changed both ways, classes and slices with Holm."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from obverse.decisions import LabelSet, OneClass
from obverse.errors import OutputError
from obverse.evaluation import Predictions, measure
from obverse.manifest import Manifest, Sample
from obverse.metrics import Difference, holm, metric_named
from obverse.report import Gallery, Picture
from obverse.studies.compare import Contender, compare, read_contender
from obverse.studies.comparison import comparison_page, write_comparison
from obverse.studies.comparison.changed import changed
from obverse.studies.comparison.page import all_against
from obverse.studies.comparison.parts import by_class, by_slice, columns_of, slices_of
from obverse.studies.comparison.pictures import Source
from obverse.studies.comparison.verdict import verdict

from .past_runs import finish_run

CLASSES = ("a", "b", "c")


def predictions(answers_N, truth_N, *, sure=0.8, kind=None, groups=()):
    probabilities_NK = np.full((len(truth_N), 3), (1 - sure) / 2, np.float32)
    probabilities_NK[np.arange(len(truth_N)), answers_N] = sure
    return Predictions(
        split="test",
        classes=CLASSES,
        ids=tuple(f"s{n}" for n in range(len(truth_N))),
        truth=np.asarray(truth_N, np.int64),
        probabilities_NK=probabilities_NK,
        kind=kind or OneClass(),
        groups=groups,
    )


def contender(name, *runs):
    return Contender(name, runs, tuple(measure(run).as_json() for run in runs))


def two(num, wrong_first, wrong_other, **options):
    """Two sides that are wrong on the samples of these numbers."""
    truth_N = np.arange(num) % 3

    def run(wrong):
        answers_N = truth_N.copy()
        answers_N[list(wrong)] = (answers_N[list(wrong)] + 1) % 3
        return predictions(answers_N, truth_N, **options)

    return contender("A", run(wrong_first)), contender("B", run(wrong_other))


def test_a_clear_difference_says_how_large_and_how_rare():
    pair = two(200, range(30), range(25, 31))
    (sentence,) = compare(pair).verdicts
    p_value = binomtest(25, 26, 0.5).pvalue
    assert sentence.startswith("B is better than A: 12.0 points of accuracy (")
    assert p_value < 1e-4
    assert sentence.endswith("seen in fewer than 1 of 10,000 comparisons")
    (turned,) = compare(pair[::-1]).verdicts
    assert turned.startswith("B is better than A: 12.0 points of accuracy (")


def test_how_rare_is_the_p_value():
    (sentence,) = compare(two(200, range(12), range(10, 13))).verdicts
    p_value = binomtest(10, 11, 0.5).pvalue
    assert sentence.endswith(f"1 of {1 / p_value:.0f} comparisons")


def test_no_clear_difference_says_what_would_tell():
    (sentence,) = compare(two(200, range(10), range(8, 18))).verdicts
    assert sentence.startswith("Cannot tell A and B apart in accuracy: B is between ")
    worse, better = (float(number) for number in re.findall(r"([\d.]+) points", sentence))
    assert 2 < worse < 6
    assert 2 < better < 6
    # McNemar (Connor 1987) for a share of 16 discordant samples in 200 and a gap of .01: 6,300.
    assert "about 6,300 test samples would tell a difference of 1 point, and there are 200" in sentence


def test_equal_answers_cannot_be_told_apart():
    (sentence,) = compare(two(60, range(5), range(5))).verdicts
    assert sentence.startswith("Cannot tell A and B apart")


def test_no_difference_has_no_sign():
    for low, words in (
        (-0.0, "between 0.0 and 22.0 points better"),
        (-1e-9, "0.0 points worse and 22.0 points better"),
    ):
        even = Difference("accuracy", 0.1, low, 0.22, p_value=0.4, test="")
        assert words in verdict(("A", "B"), metric_named("accuracy"), even, 0.4, "")


def test_groups_are_what_is_needed_more_of():
    groups = tuple(f"g{n // 4}" for n in range(80))
    (sentence,) = compare(two(80, range(0, 20, 3), range(1, 20, 3), groups=groups)).verdicts
    assert "groups of test samples would tell a difference of 1 point, and there are 20" in sentence
    one = ("g",) * 80
    (sentence,) = compare(two(80, range(5), range(9), groups=one)).verdicts
    assert sentence.startswith("A and B are not compared: ")


def test_several_runs_are_held_against_the_first():
    first, second = two(120, range(40), range(2))
    third = contender("C", first.runs[0])
    comparison = compare([first, second, third])
    assert [sentence.split(" ")[0] for sentence in comparison.verdicts] == ["B", "Cannot"]
    assert comparison.as_json()["verdicts"] == comparison.verdicts
    assert comparison.verdicts[0] in comparison._repr_html_()


def test_which_samples_changed():
    first, second = two(30, (0, 1, 2), (2, 3))
    better, worse = changed(first.runs, second.runs)
    assert sorted(sample.id for sample in better) == ["s0", "s1"]
    assert [(s.id, s.label, s.base, s.other) for s in worse] == [("s3", "a", "a", "b")]
    assert worse[0].base_confidence == pytest.approx(0.8)


def test_the_worst_steps_come_first_where_classes_are_ordered():
    truth_N = np.zeros(4, int)
    first = predictions([1, 2, 1, 0], truth_N, kind=OneClass(ordered=True))
    better, _ = changed([first], [predictions(truth_N, truth_N, kind=OneClass(ordered=True))])
    assert [sample.id for sample in better] == ["s1", "s0", "s2"]


def test_several_seeds_count_by_majority():
    truth_N = np.zeros(3, int)
    base = [predictions(answers, truth_N) for answers in ([1, 0, 0], [1, 1, 0], [0, 0, 0])]
    better, worse = changed(base, [predictions(truth_N, truth_N)] * 2)
    assert [(sample.id, sample.base) for sample in better] == [("s0", "b")]
    assert worse == []


def test_label_sets():
    truth_NK = np.array([[1, 0, 0], [1, 1, 0]] * 15, bool)
    wrong_NK = truth_NK.copy()
    wrong_NK[:8, 2] = True

    def run(answers_NK):
        return Predictions(
            split="test", classes=CLASSES, ids=tuple(f"s{n}" for n in range(30)), truth=truth_NK,
            probabilities_NK=np.where(answers_NK, 0.9, 0.1).astype(np.float32), kind=LabelSet(),
        )  # fmt: skip

    better, worse = changed([run(wrong_NK)], [run(truth_NK)])
    assert (len(better), worse) == (8, [])
    assert {(s.label, s.base, s.other) for s in better} == {("a", "a, c", "a"), ("a, b", "a, b, c", "a, b")}
    assert better[0].other_confidence == pytest.approx(0.9)
    # No sample has the class c, so it is not measured.
    assert [(part.name, part.difference.value) for part in by_class([run(wrong_NK)], [run(truth_NK)])] == [
        ("a", 0.0),
        ("b", 0.0),
    ]


def test_classes_are_tested_each_and_adjusted_together():
    truth_N = np.repeat([0, 1, 2], [40, 40, 5])
    answers_N = truth_N.copy()
    answers_N[:12] = 1
    parts = by_class([predictions(answers_N, truth_N)], [predictions(truth_N, truth_N)])
    assert [(p.name, p.num_samples, p.base, p.other) for p in parts] == [
        ("a", 40, 0.7, 1.0),
        ("b", 40, 1.0, 1.0),
        ("c", 5, 1.0, 1.0),
    ]
    raw = binomtest(0, 12, 0.5).pvalue
    assert parts[0].difference.p_value == pytest.approx(raw)
    assert [parts[0].adjusted, parts[1].adjusted] == pytest.approx(holm([raw, 1.0]))
    assert (parts[2].difference, parts[2].untested) == (None, "fewer than 10 samples")


def test_slices_of_a_column():
    names = [name for name, _ in slices_of(["x", "y", None, "x"])]
    assert names == ["x", "y"]
    assert list(slices_of(["x"] * 5)) == []
    assert list(slices_of([f"word {n}" for n in range(50)])) == []
    (low, low_N), (high, high_N) = slices_of([str(n) for n in range(50)])
    assert (low, high) == ("up to 24.5", "above 24.5")
    assert (low_N.sum(), high_N.sum()) == (25, 25)


def test_a_slice_that_differs():
    first, second = two(80, range(40), ())
    cells = ["old"] * 40 + ["new"] * 40
    new, old = by_slice(first.runs, second.runs, {"camera": cells})
    assert (new.name, new.difference.value) == ("new", 0.0)
    assert (old.name, old.difference.value) == ("old", 1.0)
    assert old.adjusted < 1e-6


def test_columns_come_from_the_manifest_with_missing_views(tmp_path):
    samples = [
        Sample(id=f"s{n}", label="a", views={"front": "f"} | ({"back": "b"} if n else {}), extra={"year": str(n)})
        for n in range(3)
    ]
    manifest = Manifest(tmp_path, samples, ("a",), ("front", "back"))
    assert columns_of(manifest, ["s2", "s0"]) == {"year": ["2", "0"], "views": ["all", "without back"]}


def galleries(page):
    return {section.title: block for section in page.sections for block in section.blocks if isinstance(block, Gallery)}


def page_of(contenders, source):
    comparison = compare(contenders)
    return comparison_page(comparison, all_against(comparison, contenders, source), source)


def test_the_page_shows_both_ways_with_both_answers():
    pair = two(90, range(40), range(39, 42))
    shown = page_of(pair, Source(pictures=lambda sample: (Picture(b"x", "front"), Picture(b"y", "back"))))
    found = galleries(shown)
    assert list(found) == ["Only B is right: 39 samples", "Only A is right: 2 samples"]
    better, worse = found.values()
    assert len(better.items) == 24
    item = next(item for item in worse.items if item.caption == "s40")
    assert (item.label, item.tags) == ("b", ("A: b 80 %", "B: c 80 %"))
    assert [picture.name for picture in item.pictures] == ["front", "back"]


def test_a_missing_picture_is_shown_as_missing():
    pair = two(30, (0, 1), ())
    shown = page_of(pair, Source(missing="No pictures: the data is gone."))
    (gallery,) = galleries(shown).values()
    assert gallery.items[0].tags[-1] == "picture missing"
    assert any(getattr(block, "text", "") == "No pictures: the data is gone." for block in shown.blocks)


def test_the_number_of_pictures_is_bounded():
    pair = two(90, range(40), range(40, 80))
    third = [replace(pair[1], name=f"C{n}") for n in range(12)]
    asked = []

    def read(sample):
        asked.append(sample)
        return (Picture(b"x"),) * 2

    page_of([*pair, *third], Source(pictures=read))
    assert len(asked) == 200


def test_files_say_the_same(tmp_path):
    for name, share in (("A", 0.5), ("B", 0.95)):
        finish_run(tmp_path / name, share, 3)
    contenders = [read_contender(tmp_path / name) for name in "AB"]
    comparison = compare(contenders)
    page = write_comparison(comparison, contenders, tmp_path / "out")
    values = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert values["verdicts"] == list(comparison.verdicts)
    html, summary = page.read_text(), (tmp_path / "out" / "summary.md").read_text()
    for text in (comparison.verdicts[0], *(sample["id"] for sample in values["against"][0]["worse"])):
        assert text in html
        assert text in summary
    assert str(tmp_path) not in html
    with pytest.raises(OutputError, match="is a run"):
        write_comparison(comparison, contenders, tmp_path / "A")


def test_a_folder_of_seeds_is_one_side(tmp_path):
    for condition, share in (("low", 0.6), ("high", 0.9)):
        for seed in range(3):
            finish_run(tmp_path / condition / f"seed-{seed}", share, seed)
    (tmp_path / "high" / "seed-9").mkdir()  # not finished
    contenders = [read_contender(tmp_path / name) for name in ("low", "high")]
    assert [(c.name, len(c.runs), len(c.paths)) for c in contenders] == [("low", 3, 3), ("high", 3, 3)]
    comparison = compare(contenders)
    assert comparison.rows[1].differences["accuracy"].test == "paired bootstrap over samples and seeds"
    side = all_against(comparison, contenders, Source())[0]
    assert side.better
    assert all(part.difference.test.endswith("samples and seeds") for part in side.classes)


def test_hostile_names_stay_text(tmp_path):
    pair = [replace(side, name=name) for side, name in zip(two(30, (0, 1), ()), ("<script>", "\u202ex"), strict=True)]
    comparison = compare(pair)
    text = write_comparison(comparison, pair, tmp_path / "out").read_text()
    assert "&lt;script&gt; " in text
    assert "\u202e" not in text
