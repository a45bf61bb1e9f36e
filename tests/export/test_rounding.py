"""Weights are rounded so that a convolution's outputs change less than by plain rounding."""

import numpy as np
import pytest
import torch

from obverse.export.quantising import rounding

CASES = {
    "pointwise": ((8, 6, 1, 1), {}),
    "depthwise": ((6, 1, 3, 3), {"group": [6], "pads": [1, 1, 1, 1]}),
    "uneven padding": ((4, 6, 3, 3), {"strides": [2, 2], "pads": [0, 1, 1, 2]}),
    "dilated groups": ((4, 3, 2, 3), {"group": [2], "dilations": [2, 1]}),
}


def convolved(inputs, weights, given):
    top, left, bottom, right = given.get("pads", [0] * 4)
    padded = torch.nn.functional.pad(torch.from_numpy(inputs), (left, right, top, bottom))
    stride, dilation = (tuple(given.get(name, [1, 1])) for name in ("strides", "dilations"))
    (groups,) = given.get("group", [1])
    weights = torch.from_numpy(weights)
    return torch.nn.functional.conv2d(padded, weights, stride=stride, dilation=dilation, groups=groups).numpy()


@pytest.mark.parametrize("case", CASES)
def test_outputs_change_less_than_by_plain_rounding(case):
    shape, given = CASES[case]
    rng = np.random.default_rng(0)
    # Inputs that are not negative, as after an activation: errors of weights shift the mean of the outputs.
    inputs = np.abs(rng.normal(1, 0.5, (2, 6, 9, 11))).astype(np.float32)
    weights = rng.normal(0, 1, shape).astype(np.float32)
    patches_GPK = rounding._patches(inputs, shape, given, rng)
    wanted = convolved(inputs, weights, given)
    products = patches_GPK @ weights.reshape(len(patches_GPK), -1, patches_GPK.shape[2]).transpose(0, 2, 1)
    np.testing.assert_allclose(np.sort(products.ravel()), np.sort(wanted.ravel()), atol=1e-4)

    scales_O = np.abs(weights).max((1, 2, 3)) / 8
    moments_GKK = patches_GPK.transpose(0, 2, 1) @ patches_GPK / patches_GPK.shape[1]
    integers = rounding.rounded(weights, scales_O, moments_GKK, 8)
    assert integers.dtype == np.int8
    assert np.abs(integers).max() <= 8
    scales_O111 = scales_O[:, None, None, None]
    plain, fitted = (
        np.square(convolved(inputs, (each * scales_O111).astype(np.float32), given) - wanted).mean()
        for each in (np.rint(weights / scales_O111), integers)
    )
    assert fitted < 0.7 * plain


def test_channels_that_are_always_zero():
    weights = np.array([[0.2, -0.6, 1.0]], np.float32).reshape(1, 3, 1, 1)
    integers = rounding.rounded(weights, np.ones(1, np.float32), np.zeros((1, 3, 3), np.float32), 64)
    assert integers.ravel().tolist() == [0, -1, 1]
