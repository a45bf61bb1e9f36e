"""Names that say whose augmented copy a picture is."""

import pytest

from obverse.manifest import build_index
from obverse.manifest.sample import Sample
from obverse.manifest.samples import Samples
from obverse.manifest.verify import copy_groups
from obverse.recipe import DataSpec, SplitSpec


def groups(*names):
    """The groups by name; the folder is the class."""
    samples = Samples.of(Sample(name, name.split("/")[0], {"image": name}) for name in names)
    found = {}
    for place, root in copy_groups(samples).items():
        found.setdefault(root, set()).add(samples.ids[place])
    return sorted(map(sorted, found.values()))


@pytest.mark.parametrize(
    ("original", "copy"),
    [
        ("IMG_1", "vertical_flip_IMG_1"),
        ("IMG_1", "rotated_by_45_IMG_1"),
        ("IMG_1", "rotated_by_75_IMG_1"),
        ("IMG_1", "saltandpepper_IMG_1"),
        ("IMG_1", "translation_IMG_1"),
        ("IMG_1", "IMG_1_aug3"),
        ("IMG_1", "IMG_1-flipLR"),
        ("IMG_1", "IMG_1_rot90"),
        ("IMG_1", "IMG_1_rotate_left_90"),
        ("IMG_1", "aug_2_IMG_1_brightness_1.2"),
        ("Screen Shot 2018-06-12 at 9.47.11 PM", "horizontal_flip_Screen Shot 2018-06-12 at 9.47.11 PM"),
        ("7", "7_flip"),
        ("flip_7", "flip_7_rotated"),
    ],
)
def test_a_name_with_words_of_augmentation_beside_another_name(original, copy):
    names = [f"a/{original}.png", f"a/{copy}.png", f"a/{original}9.png", "a/other.png"]
    assert groups(*names) == [sorted(names[:2])]


@pytest.mark.parametrize(
    "names",
    [
        ("a/IMG_1.png", "a/IMG_12.png", "a/IMG_1_2.png"),  # numbers alone say nothing
        ("a/1.png", "b/1_flip.png"),  # another class
        ("a/flip_1.png", "a/flip_2.png", "a/flip_3.png"),  # numbered, without an original
        ("a/crop.png", "a/corn.png"),
        ("a/IMG_1.png", "a/IMG_1_brightly.png"),  # no word of the list
        ("a/x/1.png", "a/y/1.png", "a/z/1_flip.png"),  # of whom?
        *(tuple(f"a/photo1_rot_{n}.png" for n in range(30)),),  # all of them are numbered
    ],
)
def test_other_names_are_nobody_s_copies(names):
    assert groups(*names) == []


def test_the_original_may_lie_in_another_folder_and_copies_may_have_copies():
    assert groups("a/raw/x1.png", "a/more/x1_flip.png") == [["a/more/x1_flip.png", "a/raw/x1.png"]]
    assert len(groups("a/x1_flip_rot90.png", "a/x1.png", "a/x1_flip.png")[0]) == 3
    # The same file name in two folders: each copy belongs to its own folder's original.
    two = groups("a/p/1.png", "a/p/1_flip.png", "a/q/1.png", "a/q/1_flip.png")
    assert two == [["a/p/1.png", "a/p/1_flip.png"], ["a/q/1.png", "a/q/1_flip.png"]]


def test_copies_without_an_original_share_what_is_left_of_their_names():
    names = [f"a/coin{coin}_aug{copy}.png" for coin in range(8) for copy in range(3)]
    assert [len(group) for group in groups(*names)] == [3] * 8
    roboflow = [f"a/IMG_7_jpg.rf.{letter * 32}.jpg" for letter in "abc"]
    assert groups(*roboflow, f"a/IMG_8_jpg.rf.{'d' * 32}.jpg") == [roboflow]


def test_long_names_take_no_time():
    hostile = [
        "a/" + "_" * 120 + "aug" + "_x" * 60,
        "a/" + "aug" * 80,
        "a/" + "xh" * 100 + "flip",
        "a/" + "1_" * 100 + "rot",
    ]
    assert groups(*(f"{name}.png" for name in hostile)) == []


@pytest.fixture
def augmented(tmp_path, draw, encoded):
    """Twenty pictures of each class, and two copies of each, told apart by their pixels."""
    for k, label in enumerate("ab"):
        for number in range(20):
            for n, name in enumerate((f"IMG_{number}", f"vertical_flip_IMG_{number}", f"IMG_{number}_aug1")):
                path = tmp_path / "data" / label / f"{name}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(encoded(draw(1000 * k + 10 * number + n)))
    return tmp_path / "data"


def stems_by_split(index):
    found = {}
    for sample in index.manifest.samples:
        number = "".join(filter(str.isdigit, sample.id.replace("_aug1", "")))
        found.setdefault((sample.label, number), set()).add(sample.split)
    return found


def test_copies_share_a_split_and_it_is_said(augmented):
    index = build_index(augmented, DataSpec())
    assert all(len(splits) == 1 for splits in stems_by_split(index).values())
    (said,) = [found for found in index.findings if found.code == "augmented-copies"]
    assert said.severity == "note"
    assert said.message == (
        "120 names say augmented copies, of 40 pictures, such as 'vertical_flip_IMG_0.png' beside 'IMG_0.png'; "
        "they stay together in a split"
    )
    counts = index.manifest.split_counts()
    assert [counts[name] for name in ("train", "val", "test")] == [84, 18, 18]


def test_copies_can_be_parted_on_request(augmented):
    index = build_index(augmented, DataSpec(split=SplitSpec(group_duplicates=False)))
    assert any(len(splits) > 1 for splits in stems_by_split(index).values())
    assert not [found for found in index.findings if found.code == "augmented-copies"]


def test_given_splits_that_part_copies_are_a_warning(tmp_path, make_set, findings):
    root = tmp_path / "data"
    for split in ("train", "val", "test"):
        make_set(root / split)
    (root / "train" / "ant" / "03.png").rename(root / "train" / "ant" / "x3.png")
    (root / "test" / "ant" / "03.png").rename(root / "test" / "ant" / "flipped_x3.png")
    (found,) = findings(root)["augmented-copies"]
    assert found.severity == "warning"
    assert "are in several given splits" in found.message
