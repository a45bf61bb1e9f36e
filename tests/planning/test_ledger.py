"""The ledger against sums that can be done by hand, and the replayed allocators against their rules."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional

from obverse.planning.ledger import MAPPED_BYTES, Ledger, exact_peak, heap_peak

MB = 2**20
SLACK = 200  # header and alignment of a block


def fake_ledger():
    return FakeTensorMode(), Ledger()


def test_tensors_come_and_go():
    mode, ledger = fake_ledger()
    with mode, ledger:
        a = torch.zeros(1000)
        b = a + 1
        view = b[:10]
        assert ledger.live_bytes == 8000
        del b
        assert ledger.live_bytes == 8000, "the view keeps its storage"
        del view
        assert ledger.live_bytes == 4000
        a.add_(1)
    assert exact_peak(ledger.events) == 8000


def test_a_chain_keeps_what_its_backward_pass_needs():
    mode, ledger = fake_ledger()
    with mode, ledger:
        x = torch.zeros(1000, requires_grad=True)
        y = x.exp().exp().exp()
        assert ledger.live_bytes == 4 * 4000
        y.sum().backward()
        del y
        assert ledger.live_bytes == 2 * 4000
        assert x.grad.shape == (1000,)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("unfolds", [True, False])
def test_a_convolution_without_bf16_instructions_unfolds_its_input(dtype, unfolds):
    ledger = Ledger(unfolds_bf16=unfolds)
    with FakeTensorMode(), ledger:
        images = torch.zeros(4, 32, 64, 64, dtype=dtype)
        wide, narrow = torch.zeros(8, 32, 4, 4, dtype=dtype), torch.zeros(8, 32, 1, 1, dtype=dtype)
        functional.conv2d(images, narrow)
        before = exact_peak(ledger.events)
        functional.conv2d(images, wide, stride=2, padding=1)
    own = (images.numel() + wide.numel() + narrow.numel()) * dtype.itemsize
    assert before == own + 4 * 8 * 64 * 64 * dtype.itemsize
    columns = 4 * 32 * 4 * 4 * 32 * 32 * 2
    after = own + 4 * 8 * 32 * 32 * dtype.itemsize
    expected = after + columns if unfolds and dtype == torch.bfloat16 else max(before, after)
    assert exact_peak(ledger.events) == expected


def test_blocks_are_rounded_up():
    assert exact_peak([(0, 1), (1, 513), (0, -1), (2, 512)], block_bytes=512) == 512 + 1024


def test_nothing_is_allocated_for_a_tensor_of_a_terabyte():
    mode, ledger = fake_ledger()
    with mode, ledger:
        torch.empty(10**12, dtype=torch.uint8)
    assert exact_peak(ledger.events) == 10**12


def test_a_hole_is_used_again():
    events = [(0, MB), (1, MB), (0, -MB), (2, MB)]
    assert heap_peak(events) == pytest.approx(2 * MB, abs=SLACK)


def test_a_hole_that_is_too_small_stays():
    events = [(0, MB), (1, MB), (0, -MB), (2, 2 * MB)]
    assert exact_peak(events) == 3 * MB
    assert heap_peak(events) == pytest.approx(4 * MB, abs=2 * SLACK)


def test_the_smallest_hole_that_fits_is_taken():
    events = [(0, 4 * MB), (1, MB), (2, 2 * MB), (3, MB), (0, -4 * MB), (2, -2 * MB), (4, 2 * MB), (5, 4 * MB)]
    assert heap_peak(events) == pytest.approx(8 * MB, abs=5 * SLACK)


def test_neighbouring_holes_become_one():
    events = [(0, MB), (1, MB), (2, MB), (3, 100), (0, -MB), (2, -MB), (1, -MB), (4, 3 * MB)]
    assert heap_peak(events) == pytest.approx(3 * MB, abs=5 * SLACK)


def test_the_heap_grows_from_its_last_hole():
    events = [(0, MB), (1, MB), (1, -MB), (2, 3 * MB)]
    assert heap_peak(events) == pytest.approx(4 * MB, abs=2 * SLACK)


def test_large_blocks_are_given_back():
    big = 2 * MAPPED_BYTES
    events = [(0, big), (0, -big), (1, big + MB)]
    assert heap_peak(events) == pytest.approx(big + MB, abs=2 * 4096)
