"""Batches depend on (seed, epoch, id, view) alone: not on workers, cache, order or where an epoch is entered."""

import threading
import time

import pytest
import torch

from obverse.data import Loader, MemoryCache
from obverse.data import loader as loader_module
from obverse.data.prefetch import prefetched
from obverse.errors import DataError
from obverse.imaging import PictureError
from obverse.recipe import AugmentSpec
from obverse.runtime import Process

# Results do not depend on how many processors this machine has; torch warns about workers that exceed them.
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")
BUSY = AugmentSpec(policy="generic", rotation_degrees=20.0, erasing=0.3, gray=0.2, shift=0.1, view_dropout=0.3).filled()
VIEWS = ("obverse", "reverse")


def assert_same(left, right):
    left, right = list(left), list(right)
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        assert a.ids == b.ids
        for name in ("images_BVCHW", "present_BV", "labels_B", "valid_B", "color_BV3"):
            assert torch.equal(getattr(a, name), getattr(b, name)), name


def epochs(loader, numbers=(0, 1)):
    return [batch for epoch in numbers for batch in loader.epoch(epoch)]


def cached(dataset):
    dataset.cache = MemoryCache(len(dataset) * len(dataset.manifest.views), dataset.working.shape)
    return dataset


def unhurried(dataset, batch_size, *, seed, numbers=(0, 1)):
    """The epochs without workers and without the thread."""
    sampler = Loader(dataset, batch_size, seed=seed).sampler
    return [dataset[places] for epoch in numbers for places in sampler.places(epoch, 0)]


@pytest.mark.parametrize("with_cache", [False, True])
@pytest.mark.parametrize("num_workers", [0, 1, 4])
def test_workers_and_the_thread_do_not_change_a_byte(make_dataset, num_workers, with_cache):
    alone = make_dataset(7, views=VIEWS, augment=BUSY, seed=3)
    shared = make_dataset(7, views=VIEWS, augment=BUSY, seed=3)
    loader = Loader(cached(shared) if with_cache else shared, 2, seed=3, num_workers=num_workers)
    assert_same(unhurried(alone, 2, seed=3), epochs(loader))


@pytest.mark.parametrize("with_cache", [False, True])
@pytest.mark.parametrize("num_threads", [1, 2, 5])
def test_threads_do_not_change_a_byte(make_dataset, monkeypatch, num_threads, with_cache):
    monkeypatch.setattr(loader_module, "SLOW_SECONDS", 0)
    alone = make_dataset(7, views=VIEWS, augment=BUSY, seed=3)
    shared = make_dataset(7, views=VIEWS, augment=BUSY, seed=3)
    monkeypatch.setattr(loader_module, "num_usable_cpus", lambda: num_threads)
    loader = Loader(cached(shared) if with_cache else shared, 3, seed=3)
    assert_same(unhurried(alone, 3, seed=3), epochs(loader))


@pytest.fixture
def two_threads(monkeypatch):
    monkeypatch.setattr(loader_module, "num_usable_cpus", lambda: 2)


@pytest.mark.parametrize("with_cache", [False, True])
def test_threads_share_a_batch_until_its_pictures_are_cached(make_dataset, monkeypatch, two_threads, with_cache):
    monkeypatch.setattr(loader_module, "NUM_TIMED", 0)
    monkeypatch.setattr(loader_module, "SLOW_SECONDS", -1)
    dataset = make_dataset(8)
    loader = Loader(cached(dataset) if with_cache else dataset, 4)
    both, names = threading.Barrier(2, timeout=60), set()
    before_decoding(dataset, ".png", lambda: both.wait() < 2 and names.add(threading.current_thread().name))
    epochs(loader, (0,))
    assert names == {"obverse-in-order-0", "obverse-in-order-1"}
    names.clear()
    epochs(loader, (1,))
    assert names == (set() if with_cache else {"obverse-in-order-0", "obverse-in-order-1"})
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("obverse")]


def test_tiny_pictures_are_read_by_one_thread(make_dataset, two_threads, monkeypatch):
    monkeypatch.setattr(loader_module, "SLOW_SECONDS", 1)
    dataset, names = make_dataset(8), set()
    before_decoding(dataset, ".png", lambda: names.add(threading.current_thread().name))
    epochs(Loader(dataset, 4))
    assert names == {"obverse-loader"}


def test_an_unreadable_picture_fails_with_its_own_batch(make_dataset, two_threads):
    def fail():
        raise PictureError("gone")

    dataset = make_dataset(8)
    before_decoding(dataset, "/1.png", fail)
    batches = Loader(dataset, 1).epoch()
    assert next(batches).ids == ("sample/0",)
    with pytest.raises(PictureError):
        next(batches)


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("first", [0, 1, 3, 4])
def test_an_epoch_can_be_entered_at_any_batch(make_dataset, num_workers, first):
    loader = Loader(make_dataset(7, augment=BUSY), 2, seed=3, num_workers=num_workers)
    whole = list(Loader(make_dataset(7, augment=BUSY), 2, seed=3).epoch(5))
    assert len(whole) == len(loader) == 4
    assert_same(loader.epoch(5, first), whole[first:])


def test_an_epoch_left_early_does_not_leak_into_the_next(make_dataset):
    loader = Loader(make_dataset(7, augment=BUSY), 2, seed=3, num_workers=2)
    next(loader.epoch(0))
    assert_same(loader.epoch(1), Loader(make_dataset(7, augment=BUSY), 2, seed=3).epoch(1))


def test_the_order_depends_on_seed_and_epoch(make_dataset):
    dataset = make_dataset(20)

    def order(seed, epoch):
        return [name for batch in Loader(dataset, 3, seed=seed).epoch(epoch) for name in batch.ids]

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)
    assert sorted(order(0, 0)) == sorted(sample.id for sample in dataset.samples)
    assert order(None, 0) == order(None, 1) == [sample.id for sample in dataset.samples]


def test_cached_equals_uncached_bit_for_bit(make_dataset):
    expected = epochs(Loader(make_dataset(5, size=(40, 30), augment=BUSY), 2, seed=0))
    loader = Loader(cached(make_dataset(5, size=(40, 30), augment=BUSY)), 2, seed=0)
    assert_same(epochs(loader), expected)
    assert_same(epochs(loader), expected)


def test_a_cached_picture_is_not_decoded_again(make_dataset):
    dataset = cached(make_dataset(3))
    before = list(Loader(dataset, 3).epoch())
    for sample in dataset.samples:
        (dataset.manifest.root / sample.views["image"]).unlink()
    assert torch.equal(next(Loader(dataset, 3).epoch()).images_BVCHW, before[0].images_BVCHW)


@pytest.mark.parametrize(("num", "world_size"), [(7, 2), (5, 4), (8, 2), (1, 3)])
def test_ranks_share_every_batch_of_one_process(make_dataset, num, world_size):
    dataset = make_dataset(num)
    whole = [list(batch.ids) for batch in Loader(dataset, 4, seed=1).epoch(0)]
    shares = [list(Loader(dataset, 4, seed=1, process=Process(r, world_size)).epoch(0)) for r in range(world_size)]
    for step, names in enumerate(whole):
        batches = [share[step] for share in shares]
        counted = [name for b in batches for name, ok in zip(b.ids, b.valid_B.tolist(), strict=True) if ok]
        assert sorted(counted) == sorted(names)
        assert {len(batch) for batch in batches} == {len(batches[0])}
    assert {len(share) for share in shares} == {len(whole)}


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_picture_that_vanishes_is_named_in_one_sentence(make_dataset, num_workers):
    dataset = make_dataset(12)  # more than two workers fetch ahead
    loader = Loader(dataset, 1, num_workers=num_workers)
    batches = loader.epoch()
    next(batches)
    gone = dataset.manifest.root / "image" / "11.png"
    gone.unlink()
    with pytest.raises(DataError) as caught:
        list(batches)
    assert str(caught.value) == f"{str(gone)!r} cannot be read: No such file or directory"


def loader_threads():
    return [thread for thread in threading.enumerate() if thread.name == "obverse-loader"]


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_an_epoch_left_early_leaves_no_thread(make_dataset, taken):
    batches = Loader(make_dataset(12), 1).epoch()
    for _ in range(taken):
        next(batches)
    assert len(loader_threads()) == (taken > 0)
    batches.close()
    assert loader_threads() == []


def test_the_next_values_are_made_while_the_caller_works():
    made = threading.Semaphore(0)

    def values():
        for number in range(3):
            made.release()
            yield number

    results = prefetched(values())
    assert next(results) == 0
    for _ in range(2):
        assert made.acquire(timeout=10)
    assert list(results) == [1, 2]


def test_an_error_comes_where_its_value_would_have_come():
    def values():
        yield 1
        raise KeyError("second")

    results = prefetched(values())
    assert next(results) == 1
    with pytest.raises(KeyError, match="second"):
        next(results)
    assert loader_threads() == []


@pytest.mark.parametrize("num_workers", [0, 2])
def test_loading_draws_nothing_from_torch_s_global_generator(make_dataset, num_workers):
    before = torch.get_rng_state()
    epochs(Loader(make_dataset(5, augment=BUSY), 2, seed=0, num_workers=num_workers))
    assert torch.equal(torch.get_rng_state(), before)


def before_decoding(dataset, name, harm):
    """Run `harm` wherever the picture called `name` is about to be decoded."""

    class Store:
        def __init__(self, real):
            self.real = real

        def decode(self, path, **least):
            if path.endswith(name):
                harm()
            return self.real.decode(path, **least)

    dataset.originals.store = Store(dataset.originals.store)


@pytest.mark.parametrize(("num_workers", "num_threads"), [(0, 1), (0, 2), (1, 2), (2, 2)])
def test_a_hung_picture_is_named_instead_of_waited_for(make_dataset, monkeypatch, num_workers, num_threads):
    monkeypatch.setattr(loader_module, "WORKER_TIMEOUT_SECONDS", 2)
    dataset = make_dataset(12)
    before_decoding(dataset, "/7.png", lambda: time.sleep(15))
    seen = []
    monkeypatch.setattr(loader_module, "num_usable_cpus", lambda: num_threads)
    loader = Loader(dataset, 2, num_workers=num_workers)
    with pytest.raises(DataError, match=r"nothing came for 2 seconds while it read 'sample/7'; "):
        seen.extend(batch.ids for batch in loader.epoch())
    assert seen == [(f"sample/{n}", f"sample/{n + 1}") for n in (0, 2, 4)]
