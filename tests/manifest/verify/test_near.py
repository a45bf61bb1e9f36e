"""Near duplicates: copies are found, strangers are not, and a set that looks alike throughout is passed in silence."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from obverse.imaging import examine_picture
from obverse.manifest import build_index
from obverse.manifest.verify.copies import near
from obverse.manifest.verify.facts import PictureFacts
from obverse.recipe import DataSpec, SplitSpec


def reencoded(image):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=60)
    return Image.open(io.BytesIO(buffer.getvalue()))


def cropped(image):
    width, height = image.size
    return image.crop((width // 100, height // 100, width - width // 100, height - height // 100))


CHANGES = {
    "half": lambda image: image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS),
    "q60": reencoded,
    "crop": cropped,
    "all": lambda image: reencoded(cropped(image)).reduce(2),
}


def facts_of(images, encoded):
    facts = PictureFacts.empty([f"{place}.png" for place in range(len(images))], details=True)
    for place, image in enumerate(images):
        facts.put(place, examine_picture(encoded(image)), f"{place:032x}", 1)
    return facts


@pytest.mark.parametrize("change", CHANGES)
def test_copies_are_found_and_nothing_else(draw, encoded, change):
    originals = [draw(seed, (100, 120)) for seed in range(60)]
    copies = [CHANGES[change](image) for image in originals[:20]]
    found = near.near_duplicates(facts_of([*originals, *copies], encoded))
    assert {tuple(pair) for pair in found.pairs_M2.tolist()} == {(place, 60 + place) for place in range(20)}
    assert found.threshold == near.LARGEST_SCORE
    assert (np.diff(found.scores_M) >= 0).all()


def test_a_set_that_looks_alike_is_passed_in_silence(draw, encoded):
    """One picture in slow change along four ways: some are as near as copies, and so are their neighbours."""
    basis = [np.asarray(draw(seed, (48, 48))).astype(np.float64) - 128 for seed in range(5)]
    amounts = np.random.default_rng(0).normal(0, 0.12, (400, 4))
    pixels = [128 + 0.4 * basis[0] + sum(a * b for a, b in zip(row, basis[1:], strict=True)) for row in amounts]
    images = [Image.fromarray(values.clip(0, 255).astype(np.uint8)) for values in pixels]
    facts = facts_of(images, encoded)
    found = near.near_duplicates(facts)
    assert len(found.pairs_M2) == 0
    assert found.threshold < near.LARGEST_SCORE
    prints = near._Prints(facts, np.arange(400))
    nearest, _ = near._candidates(prints, np.arange(400), near.LARGEST_DISTANCE)
    assert (prints.scores(nearest) < near.LARGEST_SCORE).sum() > 20


def test_blank_pictures_and_other_shapes_are_no_duplicates(draw, encoded):
    blank = [Image.new("RGB", (40, 40), (level, 90, 90)) for level in (100, 101)]
    stretched = [draw(3, (100, 100)), draw(3, (100, 200))]
    others = [draw(seed) for seed in range(10, 20)]
    assert len(near.near_duplicates(facts_of([*blank, *stretched, *others], encoded)).pairs_M2) == 0


@pytest.mark.parametrize("num", [0, 1, 2])
def test_hardly_any_pictures(draw, encoded, num):
    found = near.near_duplicates(facts_of([draw(seed) for seed in range(num)], encoded))
    assert len(found.pairs_M2) == 0


def test_a_sampled_law_finds_the_same_copies(draw, encoded, monkeypatch):
    originals = [draw(seed, (100, 120)) for seed in range(80)]
    facts = facts_of([*originals, *map(cropped, originals[:30])], encoded)
    whole = near.near_duplicates(facts)
    monkeypatch.setattr(near, "NUM_SAMPLED", 50)
    monkeypatch.setattr(near, "BLOCK", 16)
    sampled = near.near_duplicates(facts)
    assert sampled.pairs_M2.tolist() == whole.pairs_M2.tolist() != []


def test_many_copies_do_not_vouch_for_strangers():
    """100 copies near 0.05, and strangers that grow with the fourth power: 3.2 up to 0.08, 40 up to 0.15."""
    law = near._PowerLaw(40 / 0.15**4, 4.0)
    strangers = 0.15 * (np.arange(1, 41) / 40) ** 0.25
    scores_M = np.sort(np.concatenate([np.linspace(0.03, 0.06, 100), strangers])).astype(np.float32)
    trusted = scores_M[: near._num_trusted(scores_M, law)]
    assert 0.06 <= trusted[-1] < 0.1
    assert near._num_trusted(strangers.astype(np.float32), law) == 0


def test_groups_follow_chains():
    pairs = np.array([[3, 4], [1, 3], [6, 7]])
    found = near.NearDuplicates(pairs, np.zeros(3, np.float32), 0.1, 0.0)
    assert found.groups(9).tolist() == [0, 1, 2, 1, 1, 5, 6, 6, 8]


def test_findings_say_where(clean, encoded, findings, draw):
    for code, target in (("near-duplicate", "ant/90.jpg"), ("near-duplicate-across-labels", "bee/90.jpg")):
        (clean / target).write_bytes(encoded(draw(0), "JPEG"))
        found = findings(clean)
        assert list(found) == [code]
        assert found[code][0].paths == ("ant/00.png", target)
        assert 0 < found[code][0].score <= found[code][0].threshold
        (clean / target).unlink()


def test_near_duplicates_across_splits(tmp_path, make_set, encoded, findings, draw):
    make_set(tmp_path / "data" / "train")
    for place, name in enumerate(("ant", "bee")):
        folder = tmp_path / "data" / "test" / name
        folder.mkdir(parents=True)
        for number in range(3):
            (folder / f"{number}.jpg").write_bytes(encoded(draw(4000 + 10 * place + number), "JPEG"))
    (folder / "3.jpg").write_bytes(encoded(draw(400), "JPEG"))
    found = findings(tmp_path / "data")
    assert [f.paths for f in found["near-duplicate-across-splits"]] == [("test/bee/3.jpg", "train/bee/00.png")]
    assert list(found) == ["near-duplicate-across-splits"]


def test_near_duplicates_can_share_a_split(clean, encoded, draw):
    for number in range(5):
        (clean / "ant" / f"9{number}.jpg").write_bytes(encoded(draw(4 * number), "JPEG"))
    spec = DataSpec(split=SplitSpec(group_near_duplicates=True))
    samples = {s.id: s for s in build_index(clean, spec).manifest.samples}
    for number in range(5):
        first, second = samples[f"ant/0{number}.png"], samples[f"ant/9{number}.jpg"]
        assert first.group == second.group is not None
        assert first.split == second.split
    assert sum(s.group is not None for s in samples.values()) == 10
    assert not any(s.group for s in build_index(clean, DataSpec()).manifest.samples)
