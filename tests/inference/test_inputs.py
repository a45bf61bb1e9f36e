"""What people hand to a predictor that is no path: bytes, open files, arrays, and mistakes."""

import io

import numpy as np
import pytest
from PIL import Image

import obverse
from obverse import Failure, ObverseError, Prediction

A_PICTURE_IS = r"a picture is a path, .* \(height, width\[, 3 or 4\]\) or a dict of views, not "
closed = io.BytesIO()
closed.close()
MISTAKES = {
    "None": (None, A_PICTURE_IS + "None"),
    "number": (3, A_PICTURE_IS + "int"),
    "list": ([], A_PICTURE_IS + "list"),
    "floats": (np.zeros((4, 4, 3)), A_PICTURE_IS + r"an array of float64 \(4, 4, 3\)"),
    "no pixels": (np.zeros((0, 0, 3), np.uint8), A_PICTURE_IS + r"an array of uint8 \(0, 0, 3\)"),
    "several": (np.zeros((2, 4, 4, 3), np.uint8), A_PICTURE_IS + "an array of uint8"),
    "empty image": (Image.new("RGB", (0, 0)), "it has no pixels"),
    "view of nothing": ({"image": 3}, A_PICTURE_IS + "int"),
    "other bytes": (b"no picture", "picture 1"),
    "closed": (closed, "the open file cannot be read"),
    "text": (io.StringIO("light.png"), "'rb'"),
    "empty path": ("", "the path is empty"),
}


@pytest.fixture(scope="module")
def pictures(draw_classes, tmp_path_factory):
    return draw_classes(tmp_path_factory.mktemp("data") / "pictures", per_class=10)


@pytest.fixture(scope="module")
def predictor(pictures, make_recipe, tmp_path_factory):
    return obverse.load(obverse.train(pictures, make_recipe(), run=tmp_path_factory.mktemp("runs") / "run", epochs=1))


@pytest.fixture
def picture(pictures):
    return next(pictures.rglob("*.png"))


@pytest.mark.parametrize(("item", "words"), MISTAKES.values(), ids=MISTAKES)
def test_what_is_no_picture_is_a_sentence_and_the_rest_is_answered(predictor, picture, item, words):
    with pytest.raises(ObverseError, match=words) as caught:
        predictor.predict([item])
    assert caught.value.exit_code == 65
    first, failure, last = predictor.predict_each([picture, item, picture])
    assert [type(first), type(failure), type(last)] == [Prediction, Failure, Prediction]


def test_an_item_alone_is_a_list_of_one(predictor):
    for item in (None, 3, b"no picture"):
        assert [type(answer) for answer in predictor.predict_each(item)] == [Failure]


def test_bytes_and_open_files_are_the_picture(predictor, picture):
    content, (expected,) = picture.read_bytes(), predictor.predict(picture)
    with picture.open("rb") as file:
        for item in (content, bytearray(content), io.BytesIO(content), file, {"image": content}):
            (answer,) = predictor.predict(item)
            assert answer.top == expected.top


@pytest.mark.parametrize("options", [{"top_k": "3"}, {"top_k": 0}, {"batch_size": "a"}, {"batch_size": 0}])
def test_counts(predictor, picture, options):
    with pytest.raises(ObverseError, match="must be a whole number of at least 1") as caught:
        predictor.predict(picture, **options)
    assert caught.value.exit_code == 2
    assert len(predictor.predict(picture, top_k=np.int64(1))[0].top) == 1
