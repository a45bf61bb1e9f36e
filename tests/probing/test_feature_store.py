"""Features on disk: read back exactly, damage and unwritable folders harmless, several writers."""

import numpy as np
import pytest

from obverse.probing.feature_store import FeatureStore

ABOUT = {"weights": "abc", "mean": (0.5, 0.5, 0.5)}
ENTRIES = {bytes([n]) * 16: np.arange(4, dtype=np.float32) * n for n in range(1, 4)}


def read(root, about=ABOUT, width=4):
    return FeatureStore(root, about).read(set(ENTRIES), width)


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


def test_entries_are_read_back(tmp_path):
    FeatureStore(tmp_path, ABOUT).add(ENTRIES)
    assert same(read(tmp_path), ENTRIES)


def test_two_writers_add_a_file_each(tmp_path):
    first, second = FeatureStore(tmp_path, ABOUT), FeatureStore(tmp_path, ABOUT)
    keys = list(ENTRIES)
    first.add({keys[0]: ENTRIES[keys[0]]})
    second.add({key: ENTRIES[key] for key in keys[1:]})
    assert same(read(tmp_path), ENTRIES)


def test_other_weights_have_other_features(tmp_path):
    FeatureStore(tmp_path, ABOUT).add(ENTRIES)
    assert read(tmp_path, {**ABOUT, "weights": "abd"}) == {}
    assert read(tmp_path, width=5) == {}


def test_damaged_entries_are_absent(tmp_path):
    FeatureStore(tmp_path, ABOUT).add(ENTRIES)
    (file,) = tmp_path.rglob("*.features")
    data = bytearray(file.read_bytes())
    data[0] ^= 1
    file.write_bytes(data)
    assert len(read(tmp_path)) == 2
    file.write_bytes(data[:30])
    assert read(tmp_path) == {}


def test_half_a_file_of_a_killed_process_is_removed(tmp_path):
    store = FeatureStore(tmp_path, ABOUT)
    store.add({})
    store.add(dict(list(ENTRIES.items())[:1]))
    (file,) = tmp_path.rglob("*.features")
    half = file.with_name("000002.features.part")
    half.write_bytes(b"half")
    store.add(dict(list(ENTRIES.items())[1:]))
    assert not half.exists()
    assert same(read(tmp_path), ENTRIES)


def test_without_a_folder_nothing_is_kept_and_a_sentence_says_so(tmp_path):
    (tmp_path / "features").write_text("in the way")
    store = FeatureStore(tmp_path, ABOUT)
    store.add(ENTRIES)
    assert "cannot be kept" in store.complaint
    assert FeatureStore(None, ABOUT).read(set(ENTRIES), 4) == {}


def test_speed_is_remembered(tmp_path):
    store = FeatureStore(tmp_path, ABOUT)
    assert store.milliseconds is None
    store.add(ENTRIES)
    store.note_speed(2.5)
    assert FeatureStore(tmp_path, ABOUT).milliseconds == pytest.approx(2.5)
