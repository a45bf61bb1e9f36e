"""A prediction set in words, for each kind of answer."""

import pytest

from obverse.decisions import LabelSet, OneClass
from obverse.inference.prediction import MOST_NAMES, set_words


@pytest.mark.parametrize(
    ("names", "kind", "words"),
    [
        ("bcd", OneClass(ordered=True), "b to d"),
        ("b", OneClass(ordered=True), "b"),
        ("abcde", OneClass(ordered=True), "any"),
        ("ac", OneClass(), "a or c"),
        ("acd", OneClass(), "a, c or d"),
        ("acd", LabelSet(), "a, c and d"),
        ("", LabelSet(), "none"),
    ],
)
def test_words(names, kind, words):
    assert set_words(names, num_classes=5, kind=kind) == words


def test_many_names_end_with_a_number():
    names = [f"c{n}" for n in range(100)]
    assert set_words(names[:MOST_NAMES], num_classes=500, kind=OneClass()).endswith("c6 or c7")
    assert set_words(names, num_classes=500, kind=OneClass()).endswith("c5, c6 or 93 more")
    assert set_words(names, num_classes=500, kind=OneClass(ordered=True)) == "c0 to c99"
