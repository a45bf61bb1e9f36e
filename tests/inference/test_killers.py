"""A picture that kills its decoder costs an error, never the process: in training, evaluation and prediction."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from obverse.cli.models.predict import warn_of_unread
from obverse.errors import DataError
from obverse.imaging import PictureError, sandbox, shared_sandbox
from obverse.inference.expansion import Expansion
from obverse.inference.inputs import find_requests
from obverse.inference.pixels import load_pixels
from obverse.inference.requests import Stored
from obverse.manifest import PictureStore, build_index
from obverse.manifest.verify import pictures, require_decodable, verify_pictures
from obverse.recipe import DataSpec

JOBS = """
import ctypes
from obverse.imaging import decode_picture, examine_picture
def decode(request):
    data, height, width = request
    if data.endswith(b"killer"): ctypes.string_at(0)
    return decode_picture(data, min_height=height, min_width=width)
def examine(pictures, *, use):
    for picture, _ in pictures:
        if picture.data.endswith(b"killer"): ctypes.string_at(0)
        if use == (9, 9): ctypes.string_at(0)
    return [examine_picture(picture.data, details=details, use=use) for picture, details in pictures]
"""


@pytest.fixture
def killing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Decoding bytes that end in `killer` ends the process that does it."""
    (tmp_path / "killing_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)
    import killing_jobs

    shared_sandbox().close()  # its children know the path that their parent had
    monkeypatch.setattr(sandbox, "_decode", killing_jobs.decode)
    monkeypatch.setattr(pictures, "examine_all", killing_jobs.examine)
    yield
    shared_sandbox().close()
    sys.modules.pop("killing_jobs")


@pytest.fixture
def killer(tmp_path: Path, draw_picture: Any) -> Path:
    path: Path = draw_picture(tmp_path / "set" / "a" / "killer.png")
    path.write_bytes(path.read_bytes() + b"killer")
    return path


@pytest.mark.usefixtures("killing")
def test_prediction_says_which_picture_it_was(killer: Path, draw_picture: Any, tmp_path: Path) -> None:
    stored = Stored(PictureStore(killer.parent), killer.name)
    for picture in (killer, str(killer), stored):
        with pytest.raises(PictureError, match=r"killer\.png' is unusable: the decoder crashed on it"):
            load_pixels(picture, (16, 16))
    assert load_pixels(draw_picture(tmp_path / "sound.png"), (16, 16)).shape == (20, 20, 3)


@pytest.mark.usefixtures("killing")
def test_training_stops_before_it_begins(killer: Path, draw_classes: Any) -> None:
    data = draw_classes(killer.parents[1], per_class=6)
    with pytest.raises(DataError, match=r"1 unusable picture.*killer\.png' the decoder crashed on it"):
        build_index(data, DataSpec())


@pytest.mark.usefixtures("killing")
def test_a_picture_that_only_its_own_size_kills_is_found_too(tmp_path: Path, draw_picture: Any) -> None:
    draw_picture(tmp_path / "a.jpg", size=(60, 90))
    draw_picture(tmp_path / "b.png", size=(60, 90))
    store = PictureStore(tmp_path)
    facts = verify_pictures(store, ["a.jpg", "b.png"], use=(60, 60))
    assert not facts.findings
    require_decodable(store, facts, ["a.jpg", "b.png"], [(60, 60), (50, 50)])  # the same scale: nothing is read again
    with pytest.raises(DataError, match=r"1 picture\(s\) cannot be decoded at the size .* 'a\.jpg'"):
        require_decodable(store, facts, ["a.jpg", "b.png"], [(9, 9)])


def test_children_without_work_end_and_are_replaced() -> None:
    with sandbox.Sandbox(1, idle_seconds=0.2) as box:
        first = box.run(str, 1), box._idle.queue[-1]
        assert first[0] == "1"
        assert first[1]._process.wait(5) == 0
        assert box.run(str, 2) == "2"
        # One that ends while it is asked is no crash of a decoder.
        child = box._idle.queue[-1]
        child.is_alive = lambda: True
        assert child._process.wait(5) == 0
        assert box.run(str, 3) == "3"


def test_pictures_that_get_no_answer_are_counted(
    tmp_path: Path, draw_picture: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_picture(tmp_path / "a" / "1.png")
    for name in ("a/2.heic", "3.heic"):
        (tmp_path / name).write_bytes(b"x")
    warn_of_unread([tmp_path, tmp_path / "a" / "1.png", tmp_path / "none"])
    assert capsys.readouterr().err.count("2 picture(s) are of a kind that is not read (2 .heic)") == 1
    (tmp_path / "a" / "1.png").unlink()
    (failure,) = find_requests([tmp_path], Expansion(("image",)))
    assert "no pictures below" in failure.error
    assert ": 2 picture(s) are of a kind that is not read" in failure.error


def test_names_in_a_guessed_encoding_are_predicted_all_the_same(tmp_path: Path, draw_picture: Any) -> None:
    data = draw_picture(tmp_path / "1.png").read_bytes()
    info = zipfile.ZipInfo("x1.png")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as opened:
        opened.writestr(info, data)
    packed = (tmp_path / "x.zip").read_bytes().replace(b"x1.png", b"\xc31.png")
    (tmp_path / "x.zip").write_bytes(packed)
    (request,) = find_requests([tmp_path / "x.zip"], Expansion(("image",)))
    assert load_pixels(request.views["image"], (16, 16)).shape == (20, 20, 3)
