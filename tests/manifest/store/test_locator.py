"""A locator says exactly what it was made of, whatever names hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obverse.manifest import PictureStore
from obverse.manifest.store import add_step, name_locator, parse_locator

parts = st.lists(
    st.sampled_from(["::", ":", "=", "half=", "tile=", "member=", "row=", "cifar=", "a", "/", "left"]), max_size=6
)
names = parts.map("".join)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    name=names,
    steps=st.lists(st.tuples(st.sampled_from(["member", "row", "cifar", "half", "tile"]), names), max_size=3),
)
def test_what_is_joined_is_taken_apart_again(name: str, steps: list[tuple[str, str]]) -> None:
    locator = name_locator(name)
    for kind, value in steps:
        locator = add_step(locator, kind, value)
    assert parse_locator(locator) == (name, tuple(steps))


def test_plain_names_stay_as_they_are() -> None:
    for name in ("cat/1.jpg", "a::b.jpg", "s3://bucket/1.jpg", "x=half=y", "C:/pictures/1.jpg"):
        assert name_locator(name) == name


@pytest.mark.parametrize("name", ["a::half=left", "a::=member=b.png", "::row=1,image", "a::b.png"])
def test_a_file_whose_name_holds_a_step_is_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"mine")
    assert PictureStore(tmp_path).read(name_locator(name)).data == b"mine"
