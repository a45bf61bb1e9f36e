"""Columns behave like the samples they were made of."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from obverse.manifest import Sample, Samples

words = st.text("ab/é.", min_size=1, max_size=3)
maybe = st.none() | words
samples = st.builds(
    Sample,
    id=words,
    label=words,
    views=st.dictionaries(st.sampled_from(["obverse", "reverse"]), words),
    split=st.sampled_from([None, "train", "val", "test"]),
    group=maybe,
    digest=maybe,
    extra=st.dictionaries(st.sampled_from(["year", "mint"]), words),
)
few = settings(max_examples=80, derandomize=True, deadline=None)


@few
@given(st.lists(samples, max_size=8), st.data())
def test_a_packed_sequence_equals_the_list(rows: list[Sample], data: st.DataObject) -> None:
    packed = Samples.of(iter(rows))
    assert list(packed) == rows
    assert len(packed) == len(rows)
    assert Samples.of(rows) == packed
    assert Samples.of(packed) is packed
    start, stop = data.draw(st.integers(-9, 9)), data.draw(st.integers(-9, 9))
    assert list(packed[start:stop]) == rows[start:stop]
    places = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=5)) if rows else []
    assert list(packed.take(places)) == [rows[place] for place in places]
    assert list(packed.where(s.group for s in packed)) == [s for s in rows if s.group]
    assert sorted(packed.paths()) == sorted(path for s in rows for path in s.views.values())


@few
@given(st.lists(samples, max_size=8), st.data())
def test_a_changed_column_changes_nothing_else(rows: list[Sample], data: st.DataObject) -> None:
    column = data.draw(st.lists(maybe, min_size=len(rows), max_size=len(rows)))
    changed = Samples.of(rows).with_columns(groups=iter(column))
    assert list(changed.groups) == column
    assert list(changed.with_columns(groups=[s.group for s in rows])) == rows


def test_equal_strings_are_held_once() -> None:
    rows = (Sample("".join([str(n), ".png"]), "".join(["cl", "ass"]), {"image": f"{n}.png"}) for n in range(3))
    packed = Samples.of(rows)
    assert packed.views["image"] is packed.ids
    assert len({id(label) for label in packed.labels}) == 1
