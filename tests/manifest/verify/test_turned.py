"""Copies that augmentation made of pictures, whose names do not say so."""

import io

import numpy as np
import pytest
from PIL import Image

from obverse.imaging import examine_picture
from obverse.manifest import Sample, build_index
from obverse.manifest.verify import PictureFacts, near_copies
from obverse.recipe import DataSpec, SplitSpec

WAYS = dict(zip(("mirror", "flip", "90", "180", "270", "transpose", "transverse"), Image.Transpose, strict=True))


def changed(image, way):
    if way == "darker":
        return Image.fromarray((np.asarray(image) * 0.8).astype(np.uint8))
    if way == "moved":
        pixels = np.asarray(image)
        return Image.fromarray(np.pad(pixels, ((1, 0), (1, 0), (0, 0)), mode="edge")[: len(pixels), : pixels.shape[1]])
    if way == "speckled":
        pixels, draws = np.array(image), np.random.default_rng(0).random((image.height, image.width))
        pixels[draws < 0.02], pixels[draws > 0.98] = 0, 255
        return Image.fromarray(pixels)
    return image.transpose(WAYS[way])


def jpeg(image):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def facts_of(images):
    facts = PictureFacts.empty([f"{place}.jpg" for place in range(len(images))], details=True)
    for place, image in enumerate(images):
        facts.put(place, examine_picture(jpeg(image)), f"{place:032x}", 1)
    return facts


def copies_in(images, labels=None):
    facts = facts_of(images)
    labels = labels or ["one"] * len(images)
    return near_copies([Sample(p, label, {"image": p}) for p, label in zip(facts.paths, labels, strict=True)], facts)


@pytest.mark.parametrize("way", [*WAYS, "darker", "moved", "speckled"])
@pytest.mark.parametrize("size", [(100, 100), (80, 120)])
def test_nearly_all_copies_are_found_and_nothing_else(draw, way, size):
    originals = [draw(seed, size) for seed in range(80)]
    found = copies_in([*originals, *(changed(image, way) for image in originals[:40])])
    pairs = {tuple(pair) for pair in found.pairs_M2.tolist()}
    wanted = {(place, 80 + place) for place in range(40)}
    assert pairs <= wanted
    assert len(pairs) >= 0.9 * len(wanted)
    assert (found.scores_M <= found.threshold).all()


def test_strangers_stay_strangers(draw):
    assert len(copies_in([draw(seed, (60, 60)) for seed in range(300)]).pairs_M2) == 0


@pytest.mark.parametrize(("label", "expected"), [("one", [[0, 60]]), ("other", [])])
def test_one_mirrored_copy_is_found_within_its_label(draw, label, expected):
    """A picture and its mirror image under two labels may be two things: b and d, left and right."""
    originals = [draw(seed, (80, 80)) for seed in range(60)]
    images = [*originals, changed(originals[0], "mirror")]
    assert copies_in(images, ["one"] * 60 + [label]).pairs_M2.tolist() == expected


@pytest.fixture
def augmented(tmp_path, draw):
    """Thirty pictures of each class and a turned copy of each, under names that say nothing."""
    names = iter(np.random.default_rng(0).permutation(1000).tolist())
    for k, label in enumerate("ab"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(30):
            image = draw(100 * k + number, (64, 64))
            for picture in (image, changed(image, ("mirror", "90", "180")[number % 3])):
                (tmp_path / "data" / label / f"{next(names):04}.jpg").write_bytes(jpeg(picture))
    return tmp_path / "data"


def codes(index):
    return [found.code for found in index.findings]


def test_a_set_that_was_augmented_before_it_came_is_told_and_can_be_kept_together(augmented):
    index = build_index(augmented, DataSpec())
    (found,) = [found for found in index.findings if found.code == "copies-across-splits"]
    assert found.severity == "warning"
    assert "data.split.group_near_duplicates=true keeps copies in one split" in found.message
    split_of = {path: sample.split for sample in index.manifest.samples for path in sample.views.values()}
    assert len({split_of[path] for path in found.paths}) == 2
    together = build_index(augmented, DataSpec(split=SplitSpec(group_near_duplicates=True)))
    assert "copies-across-splits" not in codes(together)
    copies = near_copies(together.manifest.samples, together.facts)
    assert len(copies.pairs_M2) >= 54
    split_of = {path: sample.split for sample in together.manifest.samples for path in sample.views.values()}
    assert all(len({split_of[together.facts.paths[place]] for place in pair}) == 1 for pair in copies.pairs_M2.tolist())


def test_a_few_that_look_alike_are_no_warning(tmp_path, make_set, draw, encoded):
    root = make_set(tmp_path / "data", per_class=60)
    for number in range(2):
        image = Image.open(root / "ant" / f"{number:02}.png").transpose(Image.Transpose.ROTATE_90)
        (root / "ant" / f"{90 + number}.png").write_bytes(encoded(image))
    assert "copies-across-splits" not in codes(build_index(root, DataSpec()))
