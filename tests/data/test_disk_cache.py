"""Cached pixels on disk: the same bits, shared by content, checked, mended, and never a reason to stop."""

import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from obverse.data import CacheContent, Geometry, Loader, PictureDataset, open_disk_cache
from obverse.data.caches.pixel_file import FOOTER, PixelFile, PixelWriter
from obverse.errors import DataError
from obverse.imaging import content_digest, joint_digest
from obverse.manifest import Manifest
from obverse.recipe import AugmentSpec

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")
VIEWS = ("obverse", "reverse")
BUSY = AugmentSpec(policy="generic", margin=1.25, erasing=0.2).filled()


@pytest.fixture
def root(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def dataset(make_dataset):
    """Six samples of two views, one without its reverse, with the digests of their files."""
    return with_digests(make_dataset(6, views=VIEWS, size=(50, 60), missing=[(2, "reverse")], augment=BUSY, seed=3))


def with_digests(dataset):
    def digest(sample):
        files = [dataset.manifest.root / path for path in sample.views.values()]
        return joint_digest(content_digest(file.read_bytes()) for file in files)

    samples = tuple(replace(sample, digest=digest(sample)) for sample in dataset.samples)
    manifest = Manifest(dataset.manifest.root, samples, dataset.manifest.classes, dataset.manifest.views)
    return PictureDataset(manifest, manifest.samples, dataset.geometry, augment=dataset.augment, seed=dataset.seed)


def wanted_of(dataset, kind="raw"):
    return CacheContent(dataset.manifest, dataset.samples, dataset.working, kind)


def cached(dataset, root, kind="raw", progress=lambda done, total: None):
    """A copy of the dataset that reads from the cache, and what was said."""
    copy = PictureDataset(
        dataset.manifest, dataset.samples, dataset.geometry, augment=dataset.augment, seed=dataset.seed
    )
    copy.cache, line = open_disk_cache(root, wanted_of(dataset, kind), progress)
    return copy, line


def batches(dataset, num_workers=0):
    loader = Loader(dataset, 4, seed=3, num_workers=num_workers)
    return torch.cat([batch.images_BVCHW for epoch in (0, 1) for batch in loader.epoch(epoch)])


def hide_originals(dataset):
    for path in dataset.samples.paths():
        (dataset.manifest.root / path).unlink()


def files(root):
    return sorted(root.glob("pixels/*/*.pixels"))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_raw_cache_gives_the_bits_of_the_originals_without_them(dataset, root, num_workers):
    expected = batches(dataset)
    copy, line = cached(dataset, root)
    assert line.startswith("cache: 11 pictures, 0.00 GB raw in ")
    assert "11 made in" in line
    hide_originals(dataset)
    assert torch.equal(batches(copy, num_workers), expected)


@pytest.mark.parametrize(("kind", "has_most"), [("raw", True), ("jpeg", False)])
def test_a_jpeg_is_still_to_be_decoded(dataset, root, kind, has_most):
    assert cached(dataset, root, kind)[0].cache.has_most is has_most


def test_it_is_made_once_and_progress_is_told(dataset, root):
    told = []
    cached(dataset, root, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (11, 11)
    before = {path: path.stat().st_mtime_ns for path in files(root)}
    _, line = cached(dataset, root, progress=lambda done, total: told.append("again"))
    assert "made in" not in line
    assert told[-1] == (11, 11)
    assert {path: path.stat().st_mtime_ns for path in files(root)} == before


def test_more_samples_only_add_what_is_lacking(dataset, root):
    few = PictureDataset(dataset.manifest, dataset.samples[:2], dataset.geometry, augment=BUSY, seed=3)
    assert "4 made" in cached(few, root)[1]
    copy, line = cached(dataset, root)
    assert "cache: 11 pictures" in line
    assert "7 made" in line
    assert len(files(root)) == 2
    assert torch.equal(batches(copy), batches(dataset))


def test_another_place_and_name_of_the_same_picture_is_found(dataset, root, make_dataset, tmp_path):
    cached(dataset, root)
    samples = [replace(sample, id=f"other/{n}") for n, sample in enumerate(dataset.samples)]
    for sample in dataset.samples:
        for path in sample.views.values():
            (tmp_path / "moved" / path).parent.mkdir(parents=True, exist_ok=True)
            (dataset.manifest.root / path).rename(tmp_path / "moved" / path)
    manifest = Manifest(tmp_path / "moved", tuple(samples), ("a", "b"), VIEWS)
    other = PictureDataset(manifest, manifest.samples, dataset.geometry, augment=BUSY)
    assert "made in" not in cached(other, root)[1]


@pytest.mark.parametrize(
    "geometry",
    [Geometry(16, 20, 16, 20), Geometry(16, 16, 16, 16, fit="squash"), Geometry(16, 16, 16, 16, decode="full")],
)
def test_another_geometry_has_its_own_pixels(dataset, root, geometry):
    cached(dataset, root)
    other = PictureDataset(dataset.manifest, dataset.samples, geometry, augment=BUSY, seed=3)
    copy, line = cached(other, root)
    assert "11 made" in line
    assert torch.equal(batches(copy), batches(other))


@pytest.mark.parametrize("field", ["DECODER_VERSION", "GEOMETRY_VERSION"])
def test_another_decoder_has_its_own_pixels(dataset, root, monkeypatch, field):
    cached(dataset, root)
    monkeypatch.setattr(f"obverse.data.caches.disk.{field}", 999)
    assert "11 made" in cached(dataset, root)[1]


def flip(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def test_a_flipped_bit_is_found_said_and_mended(dataset, root):
    cached(dataset, root)
    (file,) = files(root)
    entry = PixelFile(file).entries[4]
    flip(file, int(entry["offset"]) + 100)
    copy, line = cached(dataset, root)
    assert "1 damaged ones found" in line
    assert "1 made in" in line
    assert torch.equal(batches(copy), batches(dataset))
    assert "damaged" not in cached(dataset, root)[1]


@pytest.mark.parametrize("cut", ["half", "footer", "index", "empty"])
def test_a_file_cut_short_or_with_a_damaged_index_is_made_again(dataset, root, cut):
    cached(dataset, root)
    (file,) = files(root)
    data = file.read_bytes()
    if cut == "index":
        flip(file, len(data) - FOOTER.size - 3)
    else:
        file.write_bytes(data[: {"half": len(data) // 2, "footer": len(data) - 1, "empty": 0}[cut]])
    copy, line = cached(dataset, root)
    assert "11 made in" in line
    assert torch.equal(batches(copy), batches(dataset))


def test_what_a_killed_builder_left_is_cleared_away(dataset, root):
    cached(dataset, root)
    left = files(root)[0].with_name("000009.pixels.part")
    left.write_bytes(b"half")
    cached(dataset, root)
    assert not left.exists()


def test_two_builders_at_once_make_everything_once(dataset, root):
    with ThreadPoolExecutor(2) as pool:
        lines = list(pool.map(lambda _: cached(dataset, root)[1], range(2)))
    assert sorted("11 made" in line for line in lines) == [False, True]
    assert len(files(root)) == 1


def build(dataset, root, queue):
    queue.put(cached(dataset, root)[1])


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_two_processes_at_once_make_everything_once(dataset, root):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    children = [context.Process(target=build, args=(dataset, root, queue)) for _ in range(2)]
    for child in children:
        child.start()
    lines = [queue.get(timeout=60) for _ in children]
    for child in children:
        child.join()
    assert sorted("11 made" in line for line in lines) == [False, True]


def test_a_full_disk_while_building_costs_time_and_no_run(dataset, root, monkeypatch):
    few = PictureDataset(dataset.manifest, dataset.samples[:2], dataset.geometry, augment=BUSY, seed=3)
    cached(few, root)

    def full(self, key, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PixelWriter, "add", full)
    copy, line = cached(dataset, root)
    assert "cache: 4 pictures" in line
    assert "the cache cannot be completed (No space left on device); 7 are decoded every time" in line
    assert torch.equal(batches(copy), batches(dataset))
    assert list(root.glob("pixels/*/*.part")) == []


def test_a_disk_that_is_too_small_is_not_filled(dataset, root, monkeypatch):
    monkeypatch.setattr("obverse.data.caches.disk.shutil.disk_usage", lambda path: SimpleNamespace(free=10))
    copy, line = cached(dataset, root)
    assert "the cache cannot be completed (it needs 0.0 GB and the disk has 0.0 GB left)" in line
    assert files(root) == []
    assert torch.equal(batches(copy), batches(dataset))


def test_a_folder_that_cannot_be_made_costs_time_and_no_run(dataset, root):
    root.write_text("a file")
    copy, line = cached(dataset, root)
    assert "11 are decoded every time" in line
    assert torch.equal(batches(copy), batches(dataset))


def test_a_picture_changed_since_its_manifest_is_not_cached_and_is_named(dataset, root):
    path = dataset.manifest.root / dataset.samples[0].views["obverse"]
    Image.fromarray(np.full((50, 60, 3), 7, np.uint8)).save(path)
    copy, line = cached(dataset, root)
    assert "some could not be made; 2 are decoded every time" in line
    with pytest.raises(DataError, match=r"one of .* is not the picture that the manifest recorded"):
        batches(copy)


def test_an_unreadable_picture_is_left_to_whoever_needs_it(dataset, root):
    (dataset.manifest.root / dataset.samples[0].views["obverse"]).unlink()
    assert "cache: 9 pictures" in cached(dataset, root)[1]


def test_samples_without_digest_are_not_cached(make_dataset, root):
    assert "cache: 0 pictures" in cached(make_dataset(3), root)[1]
    assert files(root) == []


def test_equal_pictures_are_kept_once(dataset, root):
    twice = tuple(dataset.samples) + tuple(replace(s, id=f"copy/{s.id}") for s in dataset.samples)
    manifest = Manifest(dataset.manifest.root, twice, ("a", "b"), VIEWS)
    assert "22 pictures" in cached(PictureDataset(manifest, manifest.samples, dataset.geometry), root)[1]
    assert len(PixelFile(files(root)[0]).entries) == 11


def test_jpeg_is_close_repeatable_and_smaller(dataset, root, tmp_path):
    yx = np.mgrid[0:50, 0:60] / 60
    smooth = np.stack([127 + 90 * np.sin(5 * yx[0] + n) * np.cos(4 * yx[1]) for n in range(3)], 2).astype(np.uint8)
    for path in dataset.samples.paths():
        Image.fromarray(smooth).save(dataset.manifest.root / path)
    plain = with_digests(dataset)
    expected = batches(plain).int()
    copy, line = cached(plain, root, "jpeg")
    assert "GB jpeg in" in line
    first = batches(copy)
    assert 0 < (first.int() - expected).abs().float().mean() < 3
    assert torch.equal(first, batches(cached(plain, root, "jpeg")[0]))
    assert len(PixelFile(files(root)[0]).data) < 11 * 20 * 20 * 3


def test_a_worker_that_is_not_forked_can_take_it_along(dataset, root):
    copy, _ = cached(dataset, root)
    hide_originals(dataset)
    again = pickle.loads(pickle.dumps(copy))
    assert torch.equal(batches(again), batches(copy))
