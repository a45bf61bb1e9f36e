"""Extra columns as numbers, and what dropout takes of them."""

import numpy as np
import pytest
import torch

from obverse.data.columns import column_codes, drop_columns
from obverse.manifest import Column
from obverse.models.columns import ColumnEncoder
from obverse.recipe import AugmentSpec

COLUMNS = (Column("mint", "category", values=("D", "S")), Column("year", "number", mean=1900.0, std=50.0))
ROWS = [("a", {"mint": "S", "year": "1950"}), ("b", {"mint": "new", "year": "nan"}), ("c", {})]


def test_codes_are_places_and_standard_deviations_and_what_is_missing():
    codes = column_codes(COLUMNS, ROWS)
    np.testing.assert_array_equal(codes.numpy(), np.array([[2, 1], [0, np.nan], [0, np.nan]], np.float32))
    assert codes.dtype == torch.float32
    assert column_codes((), ROWS) is None


def test_dropout_takes_the_said_share_and_all_of_a_sample_at_once():
    codes = column_codes(COLUMNS, [(str(n), {"mint": "D", "year": "1900"}) for n in range(4000)])
    places = [(0, str(n)) for n in range(4000)]
    spec = AugmentSpec(column_dropout=0.2)
    dropped = drop_columns(COLUMNS, codes, spec, places, seed=0)
    lost = torch.stack([dropped[:, 0] == 0, dropped[:, 1].isnan()])
    # Each is lost by itself or with all: 1 - 0.8 * 0.8; both: all, or both by themselves.
    assert lost[0].float().mean().item() == pytest.approx(0.36, abs=0.03)
    assert lost.all(0).float().mean().item() == pytest.approx(0.2 + 0.8 * 0.04, abs=0.03)
    torch.testing.assert_close(drop_columns(COLUMNS, codes, spec, places, seed=0), dropped, equal_nan=True)
    other = drop_columns(COLUMNS, codes, spec, [(1, name) for _, name in places], seed=0)
    assert not torch.equal(other.isnan(), dropped.isnan())


def test_what_is_missing_has_its_own_features_and_no_nan_in_any_gradient():
    torch.manual_seed(0)
    encoder = ColumnEncoder([2, None])
    encoder.encoders[1].missing_W.data.fill_(7.0)
    features = encoder(column_codes(COLUMNS, ROWS))
    assert features.shape == (3, encoder.num_features)
    assert torch.equal(features[1], features[2])
    assert (features[2, 16:] == 7).all()
    features.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in encoder.parameters())
