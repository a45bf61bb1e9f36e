"""Slices: a planted weakness is found and named, chance alone is not, and any cell of a manifest is safe on a page."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from obverse.decisions import PLAIN, LabelSet, OneClass
from obverse.evaluation import Predictions, write_evaluation
from obverse.manifest import Manifest, Sample, Samples
from obverse.metrics import Units
from obverse.trust.slices import Losses, find_slices, sample_losses, slices_section, slices_topic
from obverse.trust.slices.attributes import by_number, by_value, manifest_attributes
from obverse.trust.slices.permutation import is_worse_p

HOSTILE = '<script>alert(1)</script>|\n[x](http://x) "\x1b[31m' + "W" * 300


def draw(seed, *, weak=0.0, num=200, rate=0.25, samples_per_group=1, most=1):
    """Losses, units and three attributes without any effect, but that camera 0 is worse by `weak`."""
    generator = np.random.default_rng(seed)
    group_N = generator.integers(0, num // samples_per_group, num)
    base_G = generator.beta(2 * rate, 2 * (1 - rate), num) if samples_per_group > 1 else np.full(num, rate)
    camera_N = generator.integers(0, 4, num)[group_N]
    is_wrong_N = generator.random(num) < base_G[group_N] + weak * (camera_N == 0)
    steps_N = is_wrong_N * generator.integers(1, most + 1, num)
    attributes = [
        by_value("camera", [f"{number}" for number in camera_N], "taken with camera {}".format),
        by_number("brightness", generator.normal(size=num), "with brightness {}".format),
        by_value("place", [f"{number}" for number in generator.integers(0, 6, num)], "from place {}".format),
    ]
    units = Units.alone(num) if samples_per_group == 1 else Units.of_groups(group_N.tolist())
    return Losses(steps_N.astype(float), "steps" if most > 1 else "error", float(most)), units, attributes


@pytest.mark.parametrize(("samples_per_group", "most"), [(1, 1), (3, 1), (1, 4)])
def test_a_planted_weakness_is_found_and_named(samples_per_group, most):
    losses, units, attributes = draw(3, weak=0.5, num=360, samples_per_group=samples_per_group, most=most)
    (weak,) = find_slices(losses, units, attributes).weak
    assert weak.words == "taken with camera 0"
    is_in_N = attributes[0].slice_N == attributes[0].words.index(weak.words)
    assert weak.num_samples == is_in_N.sum()
    assert weak.difference == pytest.approx(losses.values_N[is_in_N].mean() - losses.values_N[~is_in_N].mean())
    assert 0 < weak.low < weak.difference < weak.high
    assert weak.num_units == len(np.unique(units.of_N[is_in_N]))


@pytest.mark.parametrize("samples_per_group", [1, 3])
def test_chance_alone_is_rarely_named(samples_per_group):
    options = {"samples_per_group": samples_per_group, "num": 120}
    alarms = [bool(find_slices(*draw(seed, **options), seed=seed).weak) for seed in range(60)]
    assert np.mean(alarms) <= 0.05


@pytest.mark.full
@pytest.mark.parametrize("options", [{}, {"samples_per_group": 3}, {"rate": 0.03}, {"most": 4}])
def test_chance_alone_is_rarely_named_in_many_draws(options):
    alarms = [bool(find_slices(*draw(seed, **options), seed=seed).weak) for seed in range(400)]
    assert np.mean(alarms) <= 0.05


def test_the_permutation_test_agrees_with_fishers_exact_one():
    from scipy.stats import hypergeom

    generator = np.random.default_rng(0)
    losses_N, in_slice_N = np.zeros(60), np.arange(60) < 15
    losses_N[[0, 1, 2, 3, 4, 20, 30, 40]] = 1
    p_value = is_worse_p(losses_N, in_slice_N, Units.alone(60), generator)
    assert p_value == pytest.approx(hypergeom.sf(4, 60, 8, 15), abs=0.005)


def test_pictures_of_one_object_are_one_piece_of_evidence():
    """Ten pictures of each of twelve coins: two coins that are always wrong show nothing, twenty samples would."""
    losses_N = np.repeat(np.arange(12) < 2, 10).astype(float)
    in_slice_N = np.repeat(np.arange(12) % 3 == 0, 10) | np.repeat(np.arange(12) == 1, 10)
    coins, alone = Units.of_groups(np.repeat(np.arange(12), 10).tolist()), Units.alone(120)
    assert is_worse_p(losses_N, in_slice_N, coins, np.random.default_rng(0)) > 0.05
    assert is_worse_p(losses_N, in_slice_N, alone, np.random.default_rng(0)) < 0.001


def test_small_slices_are_not_examined_and_equal_ones_are_one():
    losses, units, _ = draw(0, num=100)
    half = ["a" if number < 50 else "b" for number in range(100)]
    attributes = [
        by_value("lamp", half, "under lamp {}".format),
        by_value("room", [f"room {value}" for value in half], "in {}".format),
        by_value("rare", ["x" if number < 9 else "y" for number in range(100)], "with {}".format),
    ]
    found = find_slices(losses, units, attributes)
    assert (found.num_examined, found.attributes, found.usual_size) == (2, ("lamp",), 50)


def test_without_a_weak_slice_the_section_says_what_would_have_been_seen():
    losses, units, attributes = draw(1, num=300)
    found = find_slices(losses, units, attributes)
    text = slices_section(found, losses, units, num_pictures=300).blocks[0].text
    assert text.startswith(f"None of {found.num_examined} slices by camera, brightness, place is worse beyond chance")
    assert "points worse on." in text
    # The stated difference is indeed found mostly: in a slice of about that size.
    hits = [bool(find_slices(*draw(seed, weak=found.detectable, num=300), seed=seed).weak) for seed in range(20)]
    assert np.mean(hits) >= 0.65
    few = find_slices(*draw(1, num=15))
    assert "could be compared" in slices_section(few, *draw(1, num=15)[:2], num_pictures=15).blocks[0].text


def test_where_nearly_all_is_wrong_the_section_does_not_blame_the_number_of_samples():
    losses, units, attributes = draw(1, num=400, rate=0.99)
    found = find_slices(losses, units, attributes)
    text = slices_section(found, losses, units, num_pictures=400).blocks[0].text
    assert "99 % of all answers are wrong already, so that a slice can be at most 1 points worse than the rest" in text
    assert "so few samples" not in text


def predictions_of(labels, answers, *, classes, kind=PLAIN, groups=()):
    probabilities = np.eye(len(classes), dtype=np.float32)[answers]
    ids = tuple(f"s{number}" for number in range(len(labels)))
    return Predictions(
        split="test", classes=classes, ids=ids, truth=labels, probabilities_NK=probabilities, kind=kind, groups=groups
    )


def test_the_loss_is_that_of_the_selection_metric():
    labels, answers = np.array([0, 1, 2]), np.array([0, 2, 0])
    plain = predictions_of(labels, answers, classes=("a", "b", "c"))
    ordered = replace(plain, kind=OneClass(ordered=True))
    assert sample_losses(plain, "auto").values_N.tolist() == [0, 1, 1]
    assert sample_losses(ordered, "accuracy").values_N.tolist() == [0, 1, 1]
    assert (
        sample_losses(ordered, "mae").values_N.tolist() == sample_losses(ordered, "auto").values_N.tolist() == [0, 1, 2]
    )
    truth = np.array([[1, 1, 0], [0, 0, 1], [0, 0, 0]], np.bool_)
    answered = np.array([[0.9, 0.1, 0.1], [0.9, 0.1, 0.1], [0.1, 0.1, 0.1]], np.float32)
    sets = Predictions(
        split="test",
        classes=("a", "b", "c"),
        ids=("x", "y", "z"),
        truth=truth,
        probabilities_NK=answered,
        kind=LabelSet(),
    )
    assert sample_losses(sets, "map").values_N == pytest.approx([1 / 3, 1, 0])


@pytest.fixture
def pictures(tmp_path):
    """Eighty pictures, of which every other one is small, dark and of another camera; with hostile cells."""
    samples = []
    for number in range(80):
        is_small = number % 2
        exif = Image.Exif()
        exif[271], exif[272] = "Kodak", "Kodak Brownie" if is_small else "Kodak Retina"
        side, level = (24, 40) if is_small else (48, 200)
        path = tmp_path / "data" / "ab"[number % 4 // 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (side, side), (level + number, level, level)).save(path, exif=exif)
        extra = {"lamp": HOSTILE if is_small else "safe", "price": str(number)}
        samples.append(
            Sample(f"s{number}", path.parent.name, {"image": f"{path.parent.name}/{path.name}"}, "test", extra=extra)
        )
    return Manifest(tmp_path / "data", Samples.of(samples), ("a", "b"), ("image",))


def test_size_camera_and_light_of_pictures_are_named_on_a_safe_page(pictures, tmp_path):
    labels = np.arange(80) % 4 // 2
    is_wrong = (np.arange(80) % 2 == 1) & (np.arange(80) % 3 > 0)
    predictions = predictions_of(labels, np.where(is_wrong, 1 - labels, labels), classes=("a", "b"))
    topic = slices_topic(predictions, pictures, select="accuracy")
    (weak,) = topic.values["weak"]
    everything = " ".join((weak["words"], *weak["also"]))
    for words in ("24 pixels", "Kodak Brownie", "with lamp <script>", "brightness"):
        assert words in everything
    assert "Kodak Kodak" not in everything
    write_evaluation(tmp_path / "out", predictions, facts={}, more=[topic])
    page, summary = ((tmp_path / "out" / name).read_text() for name in ("report.html", "summary.md"))
    assert "<script>alert" not in page + summary
    assert "\x1b" not in page + summary
    assert summary.count("points worse than the rest") == 2, "in its section and under what to trust"
    assert json.loads((tmp_path / "out/metrics.json").read_text())["slices"]["num_examined"] > 3


def test_a_cue_that_gives_the_class_away_stands_beside_the_headline(pictures, tmp_path):
    """The size of a picture is its class here, which no object explains."""
    by_size = Samples.of(replace(sample, label="ab"[row % 2]) for row, sample in enumerate(pictures.samples))
    labels = np.arange(80) % 2
    predictions = predictions_of(labels, labels, classes=("a", "b"))
    topic = slices_topic(predictions, replace(pictures, samples=by_size), select="auto")
    assert any(
        message.startswith("the size of the picture alone tells the class") for message in topic.values["shortcuts"]
    )
    write_evaluation(tmp_path / "out", predictions, facts={}, more=[topic])
    summary = (tmp_path / "out/summary.md").read_text()
    assert "In these pictures the size of the picture alone tells the class in 100 %" in summary
    kept = slices_topic(predictions_of(np.arange(80) % 4 // 2, labels, classes=("a", "b")), pictures, select="auto")
    assert kept.values["shortcuts"] == []


def test_a_picture_that_is_gone_is_left_out(pictures, tmp_path):
    (tmp_path / "data/a/0.jpg").unlink()
    labels = np.arange(80) % 4 // 2
    topic = slices_topic(predictions_of(labels, labels, classes=("a", "b")), pictures, select="auto")
    assert topic.values["weak"] == ()
    assert "size of the picture" in topic.values["attributes"]


def test_attributes_of_the_manifest():
    samples = Samples.of(
        Sample(f"{n}", "a", {"front": f"scans/{n % 2}/{n}.png", **({"back": f"b/{n}.png"} if n % 2 else {})},
               "val" if n < 5 else "test", group=f"g{n // 2}", extra={"lamp": "" if n < 3 else "x", "label_rank": "1"})
        for n in range(20)
    )  # fmt: skip
    manifest = Manifest(None, samples, ("a", "b"), ("front", "back"))
    words = {attribute.name: attribute.words for attribute in manifest_attributes(samples, manifest)}
    assert words["lamp"] == ("with lamp x", "without lamp")
    assert words["size of the group"] == ("in groups of 2",)
    assert words["folder"] == ("from folder scans/0", "from folder scans/1")
    assert words["split"] == ("of split test", "of split val")
    assert set(words["view back"]) == {"with back", "without back"}
    assert "label_rank" not in words
