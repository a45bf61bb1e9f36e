"""Patterns, memory of many files, order and failures of reading in parallel."""

import shutil
import sys

import pytest

import obverse
from obverse.errors import DataError
from obverse.inference.expansion import Expansion
from obverse.inference.inputs import find_requests


def test_a_pattern_stands_for_its_files_in_natural_order(draw_picture, tmp_path):
    for name in ("p10.png", "p2.png", "sub/p1.png", "[1].png"):
        draw_picture(tmp_path / name)
    (tmp_path / "note.txt").write_text("no picture")

    def ids(pattern):
        return [request.id for request in find_requests(str(tmp_path / pattern), Expansion(("image",)))]

    assert ids("p*.png") == [str(tmp_path / name) for name in ("p2.png", "p10.png")]
    assert ids("**/p*.png") == [str(tmp_path / name) for name in ("p2.png", "p10.png", "sub/p1.png")]
    assert ids("[1].png") == [str(tmp_path / "[1].png")]  # a file of that name comes before the pattern
    (failure,) = find_requests(str(tmp_path / "*.jpg"), Expansion(("image",)))
    assert failure.error.endswith("*.jpg' matches no file")


def test_a_pattern_answers_each_picture_once_and_what_can_be_used(draw_picture, tmp_path):
    for name in ("a.png", "sub/b.png", "sub/deep/c.png"):
        draw_picture(tmp_path / name)
    (tmp_path / "none").mkdir()
    (tmp_path / "list.txt").write_text("")

    def entries(pattern):
        found = find_requests(str(tmp_path / pattern), Expansion(("image",)))
        return [(type(each).__name__, each.id.removeprefix(f"{tmp_path}/")) for each in found]

    pictures = [("Request", name) for name in ("a.png", "sub/b.png", "sub/deep/c.png")]
    assert entries("**") == pictures
    assert sorted(entries("*")) == [("Failure", "list.txt"), ("Failure", "none"), *pictures]


def test_a_file_takes_the_memory_of_its_path(draw_picture, tmp_path):
    draw_picture(tmp_path / "a.png")
    path = str(tmp_path / "a.png")
    requests = find_requests([path] * 1000, Expansion(("image",), ("year",)), columns={"year": 1900})
    assert all(entry is path for entry in requests._entries)
    assert sys.getsizeof(requests._entries) < 10_000
    assert (len(requests), requests[999].id, requests[5:9][0].columns) == (1000, path, {"year": "1900"})


@pytest.fixture(scope="module")
def predictor(trained):
    return obverse.load(trained.path, device="cpu")


@pytest.fixture
def mixed(draw_picture, tmp_path):
    """Forty samples of two views, each third of which is no picture."""
    sources = [draw_picture(tmp_path / f"source{n}.png", gray=60 + 10 * n, seed=n) for n in range(14)]
    items = []
    for number in range(40):
        path = tmp_path / f"{number}.png"
        if number % 3 == 1:
            path.write_bytes(b"no picture")
        else:
            shutil.copy(sources[number % len(sources)], path)
        items.append({"obverse": path, "reverse": sources[0]})
    return items


def test_bad_files_keep_their_place_whatever_the_batch(predictor, mixed):
    whole = list(predictor.predict_each(mixed, batch_size=40))
    assert [isinstance(answer, obverse.Failure) for answer in whole] == [n % 3 == 1 for n in range(40)]
    for batch_size in (1, 7):
        answers = list(predictor.predict_each(mixed, batch_size=batch_size))
        assert [answer.id for answer in answers] == [answer.id for answer in whole]
        for answer, other in zip(answers, whole, strict=True):
            if not isinstance(answer, obverse.Failure):
                assert answer.probabilities == pytest.approx(other.probabilities, abs=1e-5)
    with pytest.raises(DataError, match=r"1\.png' is unusable"):
        predictor.predict(mixed)


def test_embeddings_on_request(predictor, mixed):
    (plain,), (full,) = predictor.predict(mixed[0]), predictor.predict(mixed[0], embeddings=True)
    assert plain.embedding == ()
    assert full.embedding == pytest.approx(predictor.embed(mixed[0])[0].tolist())
