"""A kind of backbone, as its spec names it: how it is built, and what it asks of its input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import nn

from obverse.models.weights.weight_files import Framing
from obverse.recipe import WithWeights
from obverse.registry import load_file

HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class InputNeeds:
    """What a backbone asks of its input: sides in multiples of `multiple`, normalised by mean and std (0..1 units).

    size: (height, width) that pretrained weights know best, where they say it; crop_fraction: the middle of a picture
    that they were evaluated on.
    """

    multiple: int = 1
    mean: tuple[float, ...] = HALF
    std: tuple[float, ...] = HALF
    size: tuple[int, int] | None = None
    crop_fraction: float = 1.0


class Build(Protocol):
    """From a spec to a module with `num_features` that turns (B, 3, height, width) into features (B, num_features)."""

    def __call__(self, spec: Any, /, *, height: int, width: int, load_weights: bool) -> nn.Module:
        """load_weights False: with random weights, because the caller has weights of its own."""
        ...


def any_size(spec: Any) -> InputNeeds:
    """Of a backbone that takes pictures of any size."""
    return InputNeeds()


def as_it_is(spec: Any) -> Any:
    """Of a backbone whose spec leaves nothing to be looked up."""
    return spec


@dataclass(frozen=True)
class Network:
    """pinned: the spec with everything said that would otherwise be looked up, such as which weights a name means."""

    build: Build
    input_needs: Callable[[Any], InputNeeds] = any_size
    pinned: Callable[[Any], Any] = as_it_is


def network_of(spec: Any) -> Network:
    """The `NETWORK` of the file that the spec names."""
    network: Network = load_file("models.backbones", spec.network).NETWORK
    return network


def weights_needs(
    spec: WithWeights, multiple: int, statistics: tuple[tuple[float, ...], tuple[float, ...]], framing: Framing
) -> InputNeeds:
    """Of a backbone with weights. statistics, framing: what they say; the spec's own mean and std come first."""
    mean, std = statistics
    return InputNeeds(multiple, spec.mean or mean, spec.std or std, *framing)
