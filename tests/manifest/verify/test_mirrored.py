"""Classes that are each other's mirror image, by names and by pictures."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from obverse.imaging import thumbprint
from obverse.imaging.examine import Examination
from obverse.manifest.sample import Sample
from obverse.manifest.verify import PictureFacts, mirrored_classes


@pytest.mark.parametrize(
    ("classes", "pair"),
    [
        (("left", "right"), ("left", "right")),
        (("stop", "turn_right", "turn_left"), ("turn_right", "turn_left")),
        (("TurnLeft", "TurnRight"), ("TurnLeft", "TurnRight")),
        (("leftarrow", "rightarrow", "up"), ("leftarrow", "rightarrow")),
        (("hand L", "hand R"), ("hand L", "hand R")),
        (("signs/gauche", "signs/droite"), ("signs/gauche", "signs/droite")),
        (("nach links", "nach rechts"), ("nach links", "nach rechts")),
        (("左转", "右转"), ("左转", "右转")),
        (("cw", "ccw"), ("cw", "ccw")),
        (("left", "centre"), None),
        (("bright", "dark"), None),
        (("l", "m"), None),
        (("ball", "barr"), None),  # a letter within a word is no direction
        (("cat", "dog"), None),
    ],
)
def test_names(classes, pair):
    found = mirrored_classes(classes, [], PictureFacts.empty([], details=True), ("image",))
    assert (found and (found.first, found.second)) == pair
    assert found is None or found.evidence == "by their names"


def facts_of(images):
    facts = PictureFacts.empty([f"{place}.png" for place in range(len(images))], details=True)
    for place, image in enumerate(images):
        seen = Examination(height=image.height, width=image.width, print=thumbprint(image.convert("YCbCr")).tobytes())
        facts.put(place, seen, f"{place:032x}", 1)
    return facts


def samples_of(labels, views=("image",)):
    return [
        Sample(str(n), label, {view: f"{n * len(views) + v}.png" for v, view in enumerate(views)})
        for n, label in enumerate(labels)
    ]


def arrow(rng, *, points_right, anywhere=True):
    size, length = 64, int(rng.uniform(22, 38))
    image = Image.fromarray(rng.integers(0, 60, (size, size, 3), np.uint8))
    third = length // 3
    x = int(rng.uniform(0, size - length)) if anywhere else 16
    y = int(rng.uniform(third, size - third)) if anywhere else 32
    tip = [(x, y), (x + third, y - third), (x + third, y + third)]
    draw = ImageDraw.Draw(image)
    colour = tuple(int(value) for value in rng.integers(120, 255, 3))
    draw.polygon(tip, colour)
    draw.rectangle((x + third, y - third // 3, x + length, y + third // 3), colour)
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if points_right else image


def asked(draw, classes, num, views=("image",)):
    rng = np.random.default_rng(0)
    labels = [name for name in classes for _ in range(num)]
    images = [draw(rng, name) for name in labels for _ in views]
    found = mirrored_classes(sorted(classes), samples_of(labels, views), facts_of(images), views)
    return found and (found.first, found.second, found.evidence)


def test_pictures_of_arrows():
    def centred(rng, name):
        return arrow(rng, points_right=name == "k2", anywhere=False)

    def anywhere(rng, name):
        return arrow(rng, points_right=name == "k2")

    assert asked(centred, ("k1", "k2"), 40) == ("k1", "k2", "by their pictures")
    assert asked(anywhere, ("k1", "k2"), 300) == ("k1", "k2", "by their pictures")


def test_two_of_several_classes():
    def draw(rng, name):
        if name == "round":
            image = Image.fromarray(rng.integers(0, 60, (64, 64, 3), np.uint8))
            ImageDraw.Draw(image).ellipse((16, 16, 48, 48), (200, 200, 200))
            return image
        return arrow(rng, points_right=name == "k2", anywhere=False)

    assert asked(draw, ("k1", "k2", "round"), 40) == ("k1", "k2", "by their pictures")
    assert asked(draw, ("k1", "k2", "round"), 40, ("front", "back")) == ("k1", "k2", "by their pictures")
    assert asked(draw, ("k1", "round"), 40) is None


def test_one_sided_pictures_of_other_classes_are_no_mirror_images():
    """Lopsided classes whose mirror images are no class: what a probe makes of pictures it never saw is no evidence."""
    bases = np.random.default_rng(1).integers(0, 256, (6, 5, 6, 3), np.uint8)

    def draw(rng, name):
        base = Image.fromarray(bases[int(name)]).resize((64, 64), Image.Resampling.BICUBIC)
        return Image.blend(base, Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)), 0.4)

    assert asked(draw, ("0", "1"), 60) is None
    assert asked(draw, tuple("012345"), 30) is None


def test_pictures_that_say_nothing():
    def noise(rng, name):
        return Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8))

    assert asked(noise, ("a", "b"), 100) is None
    assert asked(noise, ("a", "b"), 5) is None
    assert mirrored_classes(("a", "b"), samples_of("ab"), PictureFacts.empty(["0.png", "1.png"], details=False),
                            ("image",)) is None  # fmt: skip
